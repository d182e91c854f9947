// What goes to the server and comes back: one question after the other, what is sent again, and how far it is.

// what came from the server for each element
const shows = new Map(), latest = {};
let held = false; // what came with the page is not what its link says: it waits for the answer to that
const put = (id, value) => {
  latest[id] = value;
  if (!held) shows.get(id)?.(value);
};
const release = () => {
  if (!held) return;
  held = false;
  for (const [id, value] of Object.entries(latest)) put(id, value);
};

shows.set("stored", keep);
const inStatus = part => document.querySelector(`#status [data-part="${part}"]`);
const say = text => { inStatus("said").textContent = text; };
const announce = text => { inStatus("told").textContent = text; }; // to those who do not see what changed

// what is chosen goes to the server, one after the other, so the answers are shown in the order of the choices;
// what is not answered when the page is loaded anew is sent again
const STORED = "mixer unanswered", PATIENCE = 3000, PAUSE = 1000;
const remembered = () => { try { return JSON.parse(sessionStorage.getItem(STORED)) ?? []; } catch { return []; } };
const kept = ({words, view, measure, chosen}) => words || view || measure || chosen;
const visitor = crypto.getRandomValues(new Uint32Array(4)).join("-");
const unanswered = [{link: fromAddress()}, ...remembered()];
const remember = () => {
  try { sessionStorage.setItem(STORED, JSON.stringify(unanswered.filter(kept))); } catch { /* there is no store */ }
};
const reload = () => { location.reload(); return new Promise(() => {}); }; // nothing is done meanwhile
const look = async () => { // whether the server is there; one that has started anew has another page
  const found = await fetch(`${root()}/gradio_api/app_id`).then(answer => answer.ok && answer.json()).catch(() => {});
  document.body.classList.toggle("away", !found);
  if (!found) say("The server does not answer. What you choose is done as soon as it is back.");
  else if (found.app_id !== window.gradio_config.app_id) await reload();
  return found;
};
let act, measure, asking = false;
const ask = async () => {
  if (!act || asking) return;
  asking = true;
  for (let failed = 0, again = false; unanswered.length;) {
    const watch = setInterval(look, PATIENCE);
    const answer = await act({...unanswered[0], visitor, again, network});
    clearInterval(watch);
    if (answer?.lost) await reload(); // it forgot this visitor: the new page begins with the link
    again = !answer; // what it would have brought is to come with the next one
    if (!answer && (!(await look()) || !failed++)) {
      await new Promise(resolve => setTimeout(resolve, PAUSE));
      continue;
    }
    failed = 0;
    const {link, chosen, listed} = unanswered.shift();
    remember();
    if (answer) show(answer, chosen || link === undefined);
    if (answer && listed) fillScreen(answer.status.go);
    if (!answer) say("An error occurred in the program. The server's log has the details.");
  }
  asking = false;
};

const send = payload => {
  unanswered.push(payload);
  remember();
  ask();
};
const photo = file => send({photo: file?.path ?? null});

// what the server sends: values for elements, the link, what is to be said, whether to measure, and a file to take away
const receive = parts => {
  dress = undefined;
  for (const [id, value] of Object.entries(parts)) put(id, value);
};
const show = ({status: {link, said, wait, running, file, go: place, follow, ...about}, ...parts}, chosen) => {
  if (about.markup) rebuild(about.markup);
  if (about.networks) networks(about);
  receive(parts);
  release();
  if (!unanswered.some(({link}) => link !== undefined)) address(link, chosen);
  if (about.only !== undefined) alone(about.only);
  if (place) go(place);
  if (document.body.classList.contains("away")) say("");
  document.body.classList.remove("away");
  if (said !== undefined) say(said);
  if (wait === null) progress(wait);
  if (running) measure();
  if (follow) send({link: follow, chosen: true});
  if (file) take(file);
  else if (said !== undefined) made();
};

const progress = wait => {
  document.querySelector("#status .wait").hidden = !wait;
  if (!wait) return;
  const bar = document.querySelector("#status progress");
  bar.max = wait.total;
  bar.value = wait.done;
  inStatus("wait").textContent = wait.text;
};
const reports = label => { document.querySelector("[popovertarget=reports]").textContent = label; };
const made = () => reports("Report");
const take = async ({name, text}) => {
  const report = name.endsWith(".html");
  const [before, after] = text.split("<template id=library></template>");
  const parts = report ? [before, "<scr", "ipt>", await (await fetch(library())).text(), "</scr", "ipt>", after] : [text];
  const url = URL.createObjectURL(new Blob(parts, {type: report ? "text/html" : "text/csv"}));
  save(url, name);
  URL.revokeObjectURL(url);
  made();
};

const wire = (props, trigger, server) => {
  held = unanswered.length > 1 || // the link is one
    [...new URLSearchParams(location.search).keys()].some(name => !name.startsWith("__"));
  receive(JSON.parse(props.value));
  act = server.act;
  measure = () => trigger("change", {visitor, network});
  ask();
};

const status = (element, props, watch) => {
  watch("wait", () => progress(props.wait));
  watch("redraw", () => send({redraw: true}));
  element.addEventListener("click", event => {
    if (event.target.closest("[data-do=stop]")) send({stop: true});
  });
  document.addEventListener("click", event => {
    const of = event.target.closest("[data-do=report]")?.dataset.of;
    if (!of) return;
    document.getElementById("reports").hidePopover();
    reports("Making …");
    send({report: location.href.split(/[?#]/)[0], of});
  });
};
