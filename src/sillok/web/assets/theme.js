// Before anything is painted: the colours that the reader chose, where the server did not know them.
(function () {
  "use strict";
  var known = /^(system|light|dark)$/;
  var asked = new URLSearchParams(location.search).get("theme");
  try {
    if (asked && known.test(asked)) localStorage.setItem("theme", asked);
    var kept = localStorage.getItem("theme");
    if (kept && known.test(kept)) document.documentElement.dataset.theme = kept;
  } catch (error) {
    // A browser that keeps nothing follows the system, or the cookie.
  }
})();
