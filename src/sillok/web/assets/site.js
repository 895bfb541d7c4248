// What is nicer with a script, and works without: colours, copying, search as you type.
(function () {
  "use strict";
  var root = document.documentElement;

  function show(theme) {
    root.dataset.theme = theme;
    document.querySelectorAll(".themes a").forEach(function (link) {
      if (link.dataset.theme === theme) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    });
  }

  show(root.dataset.theme);
  document.querySelectorAll(".themes").forEach(function (list) {
    list.hidden = false;
  });
  document.querySelectorAll(".themes a").forEach(function (link) {
    link.addEventListener("click", function (event) {
      event.preventDefault();
      var theme = link.dataset.theme;
      try {
        localStorage.setItem("theme", theme);
      } catch (error) {
        // then only the cookie keeps it
      }
      if (location.protocol !== "file:") {
        document.cookie = "theme=" + theme + ";path=/;max-age=31536000;samesite=lax";
      }
      show(theme);
    });
  });
  window.addEventListener("storage", function (event) {
    if (event.key === "theme" && event.newValue) show(event.newValue);
  });
  window.addEventListener("pageshow", function (event) {
    if (!event.persisted) return;
    try {
      show(localStorage.getItem("theme") || root.dataset.theme);
    } catch (error) {
      // nothing is kept, nothing to follow
    }
  });

  if (navigator.clipboard) {
    document.querySelectorAll("button.copy").forEach(function (button) {
      var label = button.textContent;
      button.hidden = false;
      button.addEventListener("click", function () {
        navigator.clipboard.writeText(button.parentElement.querySelector("code").textContent).then(function () {
          button.textContent = button.dataset.done;
          setTimeout(function () {
            button.textContent = label;
          }, 1500);
        });
      });
    });
  }

  var form = document.querySelector("form[data-hits]");
  if (!form) return;
  var hits = document.getElementById(form.dataset.hits);

  function asked() {
    var given = new URLSearchParams();
    new FormData(form).forEach(function (value, name) {
      if (value) given.append(name, value);
    });
    return given;
  }

  function address(given) {
    return form.getAttribute("action") + (given.toString() ? "?" + given : "");
  }

  var timer = 0;
  var running = null;

  function ask() {
    var given = asked();
    if (running) running.abort();
    running = new AbortController();
    var mine = running;
    var part = new URLSearchParams(given);
    part.append("part", "hits");
    fetch(address(part), { signal: mine.signal })
      .then(function (answer) {
        if (!answer.ok) throw new Error(String(answer.status));
        return answer.text();
      })
      .then(function (text) {
        if (mine.signal.aborted) return;
        var page = new DOMParser().parseFromString(text, "text/html");
        hits.replaceChildren.apply(hits, Array.from(page.body.childNodes));
        history.replaceState(null, "", address(given));
      })
      .catch(function () {
        // the form still works by itself
      });
  }

  function soon() {
    clearTimeout(timer);
    timer = setTimeout(form.dataset.index ? find : ask, 150);
  }

  form.addEventListener("input", soon);
  form.addEventListener("submit", function (event) {
    if (!form.dataset.index) return;
    event.preventDefault();
    find();
  });

  // A static copy searches an index of its own.
  var index = null;

  function load() {
    if (!index) {
      index = fetch(form.dataset.index).then(function (answer) {
        return answer.json();
      });
    }
    return index;
  }

  function fold(text) {
    return text.normalize("NFKC").toLowerCase();
  }

  function find() {
    var words = fold(form.elements.q.value).split(/\s+/).filter(Boolean);
    load().then(function (papers) {
      var found = words.length
        ? papers.filter(function (paper) {
            return words.every(function (word) {
              return paper.words.indexOf(word) >= 0;
            });
          })
        : [];
      list(found.slice(0, 50), words.length > 0);
      history.replaceState(null, "", words.length ? "?q=" + encodeURIComponent(form.elements.q.value) : "?");
    });
  }

  function list(found, any) {
    if (!found.length) {
      var line = document.createElement("p");
      line.textContent = any ? form.dataset.nothing : "";
      hits.replaceChildren(line);
      return;
    }
    var all = document.createElement("ul");
    all.className = "list";
    found.forEach(function (paper) {
      var item = document.createElement("li");
      var head = document.createElement("h2");
      var link = document.createElement("a");
      link.href = form.dataset.papers.replace("ID", paper.id);
      link.textContent = paper.title;
      head.append(link);
      var by = document.createElement("p");
      by.className = "by";
      by.textContent = ["arXiv " + paper.id, paper.published, paper.family].filter(Boolean).join(" · ");
      item.append(head, by);
      all.append(item);
    });
    hits.replaceChildren(all);
  }

  if (form.dataset.index) {
    var given = new URLSearchParams(location.search).get("q");
    if (given) {
      form.elements.q.value = given;
      find();
    }
  }
})();
