// A verification while it goes on: what the server tells is shown, and the page is loaded anew at the end.
(function () {
  "use strict";
  var place = document.getElementById("job");
  if (!place || !place.dataset.events || !window.EventSource) return;

  function at(name) {
    return document.querySelector("[data-job=" + name + "]");
  }

  function put(name, text) {
    var one = at(name);
    if (one && one.textContent !== text) one.textContent = text;
  }

  var state = null;
  var source = new EventSource(place.dataset.events);
  source.addEventListener("job", function (event) {
    var job = JSON.parse(event.data);
    if (state !== null && state !== job.state && job.state === "running") put("before", "");
    state = job.state;
    put("state", place.dataset[job.state]);
    at("state").className = "job " + job.state;
    var bar = at("share");
    if (bar) bar.value = job.share;
    put("done", String(job.done));
    put("runs", String(job.runs));
    put("now", job.now);
    var log = at("log");
    var follows = log.scrollTop + log.clientHeight >= log.scrollHeight - 4;
    put("log", job.log);
    if (follows) log.scrollTop = log.scrollHeight;
  });
  source.addEventListener("end", function () {
    source.close();
    location.reload();
  });
  window.addEventListener("pagehide", function () {
    source.close();
  });
})();
