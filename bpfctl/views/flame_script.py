"""What makes a flame graph answer in a browser: it is a part of the drawing, and asks nobody else."""

from __future__ import annotations

STYLE = """
text { font: 12px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #111; }
#ground { fill: #fafafa; }
#heading { font-size: 16px; text-anchor: middle; }
#told { text-anchor: middle; fill: #555; }
#search, #matched { text-anchor: end; }
.button { cursor: pointer; fill: #06c; }
.button:hover { text-decoration: underline; }
.hidden { display: none; }
.box { cursor: pointer; }
.box text { pointer-events: none; }
.box:hover rect { stroke: #000; stroke-width: 0.7; }
.below rect { opacity: 0.5; }
.found rect { fill: #e0e; }
.found text { fill: #fff; }
"""

#: One object, ``flame``, with what a person can do: zoom(box), reset(), search(expression), clear().
SCRIPT = r"""
"use strict";
var flame = (function () {
  var drawing = document.currentScript ? document.currentScript.closest("svg") : document.documentElement;
  function part(id) { return drawing.querySelector("#" + id); }
  var details = part("details"), matched = part("matched"), button = part("reset"), searched = part("search");
  var all = Array.prototype.map.call(drawing.querySelectorAll("#boxes > g"), function (group) {
    var rect = group.querySelector("rect"), title = group.querySelector("title").textContent;
    return {
      group: group, rect: rect, text: group.querySelector("text"), title: title,
      name: title.replace(/: [0-9,]+ [^:]*, [0-9.]+ %$/, ""),
      start: parseFloat(rect.getAttribute("x")), width: parseFloat(rect.getAttribute("width")),
      row: parseFloat(rect.getAttribute("y"))
    };
  });
  var slack = 0.0002, letter = 7.23, shown = { start: 0, width: 100, row: Infinity }, term = null;

  function label(box, width) {
    var pixels = width / 100 * drawing.getBoundingClientRect().width - 6, room = Math.floor(pixels / letter);
    var name = box.name.replace(/ \((\/|\[)[^()]*\)$/, "");
    box.text.textContent = room < 3 ? "" : name.length <= room ? name : name.slice(0, room - 2) + "..";
  }

  function draw() {
    all.forEach(function (box) {
      var below = box.row > shown.row && box.start <= shown.start + slack &&
        box.start + box.width >= shown.start + shown.width - slack;
      var inside = box.row <= shown.row && box.start >= shown.start - slack &&
        box.start + box.width <= shown.start + shown.width + slack;
      box.group.classList.toggle("hidden", !below && !inside);
      box.group.classList.toggle("below", below);
      if (!below && !inside) { return; }
      var start = below ? 0 : (box.start - shown.start) / shown.width * 100;
      var width = below ? 100 : box.width / shown.width * 100;
      box.rect.setAttribute("x", start + "%");
      box.rect.setAttribute("width", width + "%");
      box.text.setAttribute("x", start + "%");
      label(box, width);
    });
    button.classList.toggle("hidden", shown.width >= 100);
  }

  function zoom(box) { shown = box; draw(); }

  function reset() { shown = { start: 0, width: 100, row: Infinity }; draw(); }

  function clear() {
    term = null;
    all.forEach(function (box) { box.group.classList.remove("found"); });
    matched.textContent = " ";
    searched.textContent = "Search";
  }

  // Returns how many percent of all lie in boxes that match, those within each other once.
  function search(expression) {
    var wanted, sum = 0, end = -1;
    try { wanted = new RegExp(expression, "i"); } catch (error) {
      wanted = { test: function (name) { return name.indexOf(expression) >= 0; } };
    }
    clear();
    term = expression;
    all.filter(function (box) {
      var found = wanted.test(box.name);
      box.group.classList.toggle("found", found);
      return found;
    }).sort(function (one, other) {
      return one.start - other.start || other.width - one.width;
    }).forEach(function (box) {
      if (box.start >= end - slack) { sum += box.width; end = box.start + box.width; }
    });
    matched.textContent = "Matched: " + sum.toFixed(1) + " %";
    searched.textContent = "Clear search";
    return sum;
  }

  function ask() {
    if (term !== null) { clear(); return; }
    var expression = window.prompt("Which functions? A regular expression, such as ^tcp_", "");
    if (expression) { search(expression); }
  }

  all.forEach(function (box) {
    box.group.addEventListener("click", function () { zoom(box); });
    box.group.addEventListener("mouseover", function () { details.textContent = box.title; });
    box.group.addEventListener("mouseout", function () { details.textContent = " "; });
  });
  button.addEventListener("click", reset);
  searched.addEventListener("click", ask);
  window.addEventListener("resize", draw);
  window.addEventListener("keydown", function (event) {
    if (event.key === "Escape") { clear(); reset(); }
    if ((event.ctrlKey || event.metaKey) && event.key === "f" || event.key === "F3") {
      event.preventDefault();
      ask();
    }
  });
  draw();
  return { boxes: all, zoom: zoom, reset: reset, search: search, clear: clear };
})();
"""
