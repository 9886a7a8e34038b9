// A tap on a mask's picture moves its detail there. The page reads as well without.
document.querySelectorAll(".movable").forEach(function (figure) {
  var map = figure.querySelector(".map"), loupe = figure.querySelector(".loupe");
  var frame = map.querySelector(".frame"), label = figure.querySelector(".label");
  var all = map.viewBox.baseVal, seen = loupe.viewBox.baseVal;
  var edge = map.querySelector(".edge"), start = Number(map.dataset.start);
  function move(x, y) {
    x = Math.max(0, Math.min(all.width - seen.width, Math.floor(x - seen.width / 2)));
    y = Math.max(0, Math.min(all.height - seen.height, Math.floor(y - seen.height / 2)));
    loupe.setAttribute("viewBox", [x, y, seen.width, seen.height].join(" "));
    frame.setAttribute("x", x);
    frame.setAttribute("y", y);
    label.textContent = "Detail: queries " + (start + y) + " .. " + (start + y + seen.height - 1) +
      ", keys " + x + " .. " + (x + seen.width - 1);
  }
  map.addEventListener("click", function (event) {
    var box = edge.getBoundingClientRect();
    move((event.clientX - box.left) / box.width * all.width,
         (event.clientY - box.top) / box.height * all.height);
  });
  figure.querySelector(".hint").hidden = false;
});
