// What is in sight: where a link leads, what sticks to the top, and what can be reached at all.

const openDrawer = () => document.querySelector("#drawer > .label-wrap:not(.open)")?.click();

// to an element, as soon as it is on the page, and again while what is above it grows, until the visitor moves
let settled = () => {};
const go = id => {
  const until = performance.now() + 5000;
  let going = true;
  settled();
  settled = () => { going = false; };
  const step = () => {
    if (!going || performance.now() > until) return;
    requestAnimationFrame(step);
    const element = document.getElementById(id);
    if (id.startsWith("specimen-")) { // what is in the drawer is on the page once it was open
      settled();
      return openDrawer();
    }
    if (!element?.checkVisibility()) return;
    if (document.body.classList.contains("lecturing")) {
      const view = element.querySelector(".view");
      if (!view.classList.contains("lecture")) lecture(view);
      return settled();
    }
    const shown = element.querySelector(".opened") ?? element, {top, bottom} = shown.getBoundingClientRect();
    const figure = shown.querySelector(".figure:not([hidden])")?.getBoundingClientRect().bottom;
    const low = figure ?? Math.min(bottom, top + innerHeight / 2); // what is to be seen ends there
    if (top < covered - 1 || (low > innerHeight && top > covered + 1)) shown.scrollIntoView();
  };
  step();
};
for (const kind of ["wheel", "touchmove", "pointerdown", "keydown"])
  document.addEventListener(kind, () => settled(), {capture: true, passive: true});

// how much of the window is under what sticks to its top: what gets the focus is scrolled clear of it
let covered = 0;
const uncover = () => {
  const [strip, bar] = ["#specimen", ".bars"].map(name => {
    const element = document.querySelector(name);
    const spans = element?.clientWidth > innerWidth / 2; // beside the figures, it covers none
    return spans && getComputedStyle(element).position === "sticky" ? element.offsetHeight : 0;
  });
  covered = strip + bar + 8;
  const {style} = document.documentElement;
  style.setProperty("--strip", `${strip}px`);
  style.scrollPadding = `${covered}px 0 ${document.getElementById("status").offsetHeight + 16}px`;
};
const sizes = new ResizeObserver(uncover);

// nothing but these can be reached, as with a dialog; none: all of the page again
const only = (...within) => {
  for (const one of document.querySelectorAll("[data-behind]")) {
    one.inert = false;
    delete one.dataset.behind;
  }
  const way = new Set();
  for (const one of within) for (let over = one.parentElement; over; over = over.parentElement) way.add(over);
  for (const over of way)
    for (const one of over.children)
      if (!way.has(one) && !within.includes(one) && !one.inert) {
        one.inert = true;
        one.dataset.behind = "";
      }
};
