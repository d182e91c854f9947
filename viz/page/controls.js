// Controls, whose values are parameters of a link: lists, sliders, boxes, buttons, tabs, and the patches of the picture.

// the value of a control as in a link
const valueOf = control => {
  if (control.dataset.values) return control.dataset.values.split(",")[Number(control.value)];
  if (control.type === "checkbox") {
    const all = control.closest("fieldset").querySelectorAll("input");
    return [...all].filter(box => box.checked).map(box => box.value).join(",");
  }
  return control.value;
};
const set = (element, values) => {
  for (const control of element.querySelectorAll("[data-word]")) {
    const value = values[control.dataset.word];
    if (value === undefined) continue;
    if (control.sent === value) control.sent = undefined;
    if (control.sent !== undefined && control === document.activeElement) continue; // a newer value was sent
    if (control.dataset.values) control.value = control.dataset.values.split(",").indexOf(value);
    else if (control.type === "checkbox") control.checked = value.split(",").includes(control.value);
    else control.value = value;
    const output = control.parentElement.querySelector("output");
    if (output) output.textContent = control.ariaValueText = value;
  }
  for (const menu of element.querySelectorAll("details[data-menu]")) {
    const boxes = [...menu.querySelectorAll("input")];
    menu.querySelector("summary span").textContent = `${boxes.filter(box => box.checked).length} of ${boxes.length}`;
  }
};

// a change of the HTML in a part; the focus stays on the same button
const keepFocus = (part, change) => {
  const focused = part.contains(document.activeElement) && document.activeElement.closest("[data-words], [data-word], [data-keep]");
  change();
  if (!focused || document.activeElement !== document.body) return; // it is there, or found again in an inner part
  const [name, text] = ["keep", "words", "word"].map(name => [name, focused.dataset[name]]).find(([, text]) => text);
  const again = `[data-${name}="${CSS.escape(text)}"]`;
  part.querySelector(again)?.focus({preventScroll: true});
};
const fill = (part, html) => keepFocus(part, () => {
  part.innerHTML = html;
  part.dispatchEvent(new Event("filled", {bubbles: true}));
});

// clicks and controls of an element send parameters
const listen = element => {
  element.addEventListener("click", event => {
    const place = event.target.closest("[data-words]");
    if (!place || (place.href && (event.ctrlKey || event.metaKey))) return; // Ctrl opens a link in a new tab
    event.preventDefault();
    send({words: words(place.dataset.words)});
    if (place.dataset.go) go(place.dataset.go);
  });
  element.addEventListener("input", event => {
    const control = event.target.closest("[data-word][data-values]");
    if (control) control.parentElement.querySelector("output").textContent = control.ariaValueText = valueOf(control);
  });
  element.addEventListener("change", event => {
    const control = event.target.closest("[data-word]");
    if (!control) return;
    control.sent = valueOf(control);
    send({words: {[control.dataset.word]: control.sent}});
  });
};

const tabs = element => {
  const last = {};
  const buttons = [...element.querySelectorAll("[role=tab]")];
  const open = lens => {
    const group = lens.split(".")[0];
    last[group] = lens;
    for (const tab of buttons) {
      const chosen = tab.dataset.lens === lens || tab.dataset.group === group;
      tab.ariaSelected = chosen;
      tab.tabIndex = chosen ? 0 : -1;
      if (chosen) bring(tab);
    }
    for (const parts of element.querySelectorAll("[data-parts]")) parts.hidden = parts.dataset.parts !== group;
    for (const panel of document.querySelectorAll(".lens")) panel.classList.toggle("open", panel.id === `lens-${lens.replace(".", "-")}`);
  };
  const bring = tab => { // scroll a row to show the tab in its middle
    const row = tab.parentElement, [here, whole] = [tab, row].map(one => one.getBoundingClientRect());
    row.scrollLeft += here.left + here.width / 2 - whole.left - whole.width / 2;
  };
  const choose = tab => {
    const lens = tab.dataset.lens ?? last[tab.dataset.group] ?? tab.dataset.first;
    open(lens);
    send({words: {lens}});
  };
  element.addEventListener("click", event => {
    const tab = event.target.closest("[role=tab]");
    if (tab) choose(tab);
  });
  element.addEventListener("keydown", event => {
    const tab = event.target.closest("[role=tab]");
    if (!tab || !["ArrowRight", "ArrowLeft", "Home", "End"].includes(event.key)) return;
    event.preventDefault();
    const all = [...tab.parentElement.querySelectorAll("[role=tab]")], here = all.indexOf(tab);
    const to = {ArrowRight: here + 1, ArrowLeft: here - 1, Home: 0, End: -1}[event.key];
    const next = all.at(to % all.length);
    next.focus();
    choose(next);
  });
  // the answer to an earlier choice does not lead away from the last one
  return lens => { if (!unanswered.some(({words}) => words?.lens)) open(lens); };
};

const picker = element => {
  const show = ({image, aspect, cols, patches}) => {
    const group = element.querySelector(".picker");
    group.style.cssText = `background-image: url(${image}); grid-template-columns: repeat(${cols}, 1fr); aspect-ratio: ${aspect}`;
    while (group.children.length > patches.length) group.lastChild.remove();
    while (group.children.length < patches.length) {
      const button = document.createElement("button");
      button.type = "button";
      button.dataset.patch = group.children.length;
      group.append(button);
    }
    patches.forEach((patch, i) => {
      const button = group.children[i];
      button.ariaLabel = button.title = patch.label;
      button.ariaPressed = patch.chosen;
      button.classList.toggle("grouped", patch.grouped);
      button.value = patch.place;
      button.dataset.place = `(${patch.place.replace(",", ", ")})`;
      button.tabIndex = patch.chosen === "true" ? 0 : -1;
    });
  };
  // on a phone, patches of the strip are too small for a finger: a tap shows the picture large
  const phone = matchMedia("(max-width: 820px)"), grow = element.querySelector(".grow");
  const size = large => {
    element.classList.toggle("large", large);
    grow.ariaExpanded = large;
    element.querySelector(".picker").inert = phone.matches && !large;
  };
  phone.addEventListener("change", () => size(false));
  size(false);
  grow.addEventListener("click", () => {
    size(!element.classList.contains("large"));
    element.querySelector('[aria-pressed="true"]')?.focus();
  });
  element.addEventListener("keydown", event => {
    if (event.key !== "Escape" || !element.classList.contains("large")) return;
    size(false);
    grow.focus();
  });
  element.addEventListener("click", event => {
    const button = event.target.closest("button[data-patch]");
    if (!button) return;
    send({words: {patch: button.value}});
    size(false);
    if (phone.matches) grow.focus();
  });
  element.addEventListener("keydown", event => {
    const button = event.target.closest("button[data-patch]");
    const step = {ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0]}[event.key];
    if (!button || !step) return;
    event.preventDefault();
    const next = button.value.split(",").map((place, axis) => Number(place) + step[axis]);
    element.querySelector(`button[value="${next}"]`)?.focus();
  });
  return show;
};

const controls = element => {
  listen(element);
  return value => {
    set(element, value.set);
    if (value.announcement) announce(value.announcement);
    const html = element.querySelector('[data-part="html"]');
    if (html) fill(html, value.html ?? "");
  };
};
