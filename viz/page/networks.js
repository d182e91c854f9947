// The header: the list of networks, the markup of another network, and the menus.

// another network: replace the markup that depends on it
const rebuild = markup => {
  const going = played;
  lecture();
  played = going;
  ofNetwork = markup;
  for (const id of Object.keys(markup)) {
    const place = document.getElementById(id);
    for (const figure of place?.querySelectorAll(".js-plotly-plot") ?? []) window.Plotly.purge(figure);
    for (const element of place?.querySelectorAll("[data-kind]") ?? []) {
      shows.delete(element.id);
      delete latest[element.id];
    }
    if (place) bind(place.parentElement);
  }
};

// the list of networks
let network;
const networks = ({network: now, networks: list, others, facts}) => {
  network = now;
  const label = document.getElementById("network"), select = label.querySelector("select");
  const text = ({name, words}) => [name, words].filter(Boolean).join(": ");
  select.replaceChildren(...list.map(one => new Option(text(one), one.name, one.name === now, one.name === now)));
  if (others) select.append(new Option("others ...", ""));
  select.disabled = false;
  label.hidden = select.options.length < 2;
  label.parentElement.querySelector("small").textContent = facts;
  label.parentElement.querySelector("[data-do=open]").hidden = true;
  // for the comparison with the untrained network
  const start = list.find(({words}) => words === "untrained");
  document.body.dataset.untrained = start && start.name !== now ? start.name : "";
};

const open = (link, more) => {
  document.querySelector("#network select").disabled = true;
  say(`Opening ${link.get("network")} ...`);
  send({link: link.toString(), chosen: true, ...more});
};

const header = element => {
  const menu = element.querySelector("#reports");
  menu.addEventListener("beforetoggle", () => at(menu));
  playlist(element.querySelector("#playlist"));
  const select = element.querySelector("#network select"), button = element.querySelector("[data-do=open]");
  const dialog = element.querySelector("dialog"), source = dialog.querySelector("input");
  const choose = () => select.value ? open(withWords({network: select.value})) : dialog.showModal();
  dialog.addEventListener("close", () => { select.value = network; });
  dialog.addEventListener("submit", () => open(withWords({network: source.value}), {open: source.value}));
  // arrow keys move through the list without opening a network
  let byKey = false;
  select.addEventListener("keydown", ({key}) => {
    byKey = !["Enter", "Tab", "Escape"].includes(key);
    if (key === "Enter" && !button.hidden) choose();
  });
  select.addEventListener("pointerdown", () => { byKey = false; });
  select.addEventListener("change", () => {
    button.hidden = select.value === network;
    if (!byKey) choose();
  });
  element.addEventListener("click", event => {
    const does = event.target.closest("[data-do]")?.dataset.do;
    if (does === "open") choose();
    if (does === "close") dialog.close();
    if (does === "link") share(event.target);
  });
  document.addEventListener("click", event => {
    if (!event.target.closest("[data-do=untrained]")) return;
    const own = withWords({network});
    own.delete("pin");
    open(withWords({network: document.body.dataset.untrained, pin: own}));
  });
};
