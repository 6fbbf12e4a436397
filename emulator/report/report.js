"use strict";
// Labels on hovering, and zooming into the time-line. The page is complete without this script.
(function () {
  var tip = document.createElement("div");
  tip.id = "tip";
  document.body.appendChild(tip);
  document.addEventListener("mouseover", function (event) {
    var shape = event.target;
    var title = shape.querySelector && shape.tagName !== "svg" && shape.closest("svg") ? shape.querySelector(":scope > title") : null;
    if (title) { shape.dataset.tip = title.textContent; title.remove(); }
    var text = shape.dataset && shape.dataset.tip;
    tip.style.display = text ? "block" : "none";
    if (text) { tip.textContent = text; }
  });
  document.addEventListener("mousemove", function (event) {
    if (tip.style.display !== "block") { return; }
    var x = event.clientX + 14, y = event.clientY + 16;
    tip.style.left = Math.max(4, Math.min(x, innerWidth - tip.offsetWidth - 8)) + "px";
    tip.style.top = (y + tip.offsetHeight > innerHeight ? event.clientY - tip.offsetHeight - 10 : y) + "px";
  });

  var svg = document.querySelector("svg[data-end]"), bar = document.querySelector(".zoom");
  if (!svg || !bar) { return; }
  var end = +svg.dataset.end, start = +svg.dataset.start, left = +svg.dataset.left, plot = +svg.dataset.plot;
  var all = Array.prototype.map.call(svg.querySelectorAll(".z, .zl, .zt"), function (shape) {
    return { shape: shape, x: +shape.getAttribute("x"), w: +shape.getAttribute("width"), kind: shape.classList[0] };
  });
  var steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400];
  var line = svg.querySelector("polyline.tick"), label = svg.querySelector("text.tick"), old = svg.querySelectorAll(".tick");
  var anchor = old.length ? old[old.length - 1].nextElementSibling : null;
  var ends = line ? line.getAttribute("points").split(" ").map(function (p) { return +p.split(",")[1]; }) : [0, 0];

  function two(number) { return (number < 10 ? "0" : "") + number; }
  function clock(at, withDay, withSeconds) {
    var rest = at % 86400, text = two(Math.floor(rest / 3600)) + ":" + two(Math.floor(rest % 3600 / 60));
    if (withSeconds) { text += ":" + two(Math.floor(rest % 60)); }
    return (withDay ? "day " + (Math.floor(at / 86400) + 1) + " " : "") + text;
  }
  function ticks(from, to) {
    svg.querySelectorAll(".tick").forEach(function (old) { old.remove(); });
    var step = steps.find(function (each) { return (to - from) <= each * 9; });
    if (!step) { step = 86400 * Math.ceil((to - from) / 86400 / 9); }
    var day = -1;
    for (var at = Math.ceil((start + from) / step) * step; at - start <= to; at += step) {
      var x = left + plot * (at - start - from) / (to - from), l = line.cloneNode(true), t = label.cloneNode(true);
      l.setAttribute("points", x + "," + ends[0] + " " + x + "," + ends[1]);
      t.setAttribute("x", x);
      t.textContent = clock(at, Math.floor(at / 86400) !== day, step < 60);
      day = Math.floor(at / 86400);
      svg.insertBefore(l, anchor); svg.insertBefore(t, anchor);
    }
  }
  function zoom(from, to) {
    var scale = end / (to - from), shift = left + plot * from / end;
    all.forEach(function (each) {
      var x = left + (each.x - shift) * scale;
      each.shape.setAttribute("x", x);
      if (each.kind === "z") { each.shape.setAttribute("width", each.w * scale); }
    });
    if (line && label) { ticks(from, to); }
    view = [from, to];
  }
  var view = [0, end];

  bar.addEventListener("click", function (event) {
    var button = event.target.closest("button");
    if (!button) { return; }
    bar.querySelectorAll("button").forEach(function (each) { each.setAttribute("aria-pressed", each === button); });
    zoom(+button.dataset.from, +button.dataset.to);
  });
  // Drag over the plot to look closer, double-click to go back.
  var from = null;
  function time(event) {
    var box = svg.getBoundingClientRect(), x = (event.clientX - box.left) * svg.viewBox.baseVal.width / box.width;
    return view[0] + Math.max(0, Math.min(1, (x - left) / plot)) * (view[1] - view[0]);
  }
  svg.addEventListener("pointerdown", function (event) { from = time(event); });
  window.addEventListener("pointerup", function (event) {
    if (from === null) { return; }
    var to = time(event), low = Math.min(from, to), high = Math.max(from, to);
    from = null;
    if (high - low > (view[1] - view[0]) / 100) {
      bar.querySelectorAll("button").forEach(function (each) { each.setAttribute("aria-pressed", "false"); });
      zoom(low, high);
    }
  });
  svg.addEventListener("dblclick", function () { bar.querySelector("button").click(); });
})();
