// Events to the server, one at a time and again if they were lost, the values of its answers, and the progress.

// the values from the server by element
const shows = new Map(), latest = {};
let held = false; // the page's first values are not those of its link: show nothing before the answer to the link
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
const say = text => { inStatus("message").textContent = text; };
const announce = text => { inStatus("announcement").textContent = text; }; // for screen readers

// events go to the server one at a time, so answers are shown in the order of the events; unanswered events are sent
// again after a reload
const STORED = "mixer unanswered", PATIENCE = 3000, PAUSE = 1000;
const remembered = () => { try { return JSON.parse(sessionStorage.getItem(STORED)) ?? []; } catch { return []; } };
const lasting = ({words, view, measure, chosen}) => words || view || measure || chosen;
const visitor = crypto.getRandomValues(new Uint32Array(4)).join("-");
const unanswered = [{link: fromAddress()}, ...remembered()];
const remember = () => {
  try { sessionStorage.setItem(STORED, JSON.stringify(unanswered.filter(lasting))); } catch { /* there is no store */ }
};
const reload = () => { location.reload(); return new Promise(() => {}); }; // never resolves
const look = async () => { // whether the server answers; after its restart, reload the page
  const found = await fetch(`${root()}/gradio_api/app_id`).then(answer => answer.ok && answer.json()).catch(() => {});
  document.body.classList.toggle("away", !found);
  if (!found) say("The server does not answer. Your actions will be sent when it is back.");
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
    if (answer?.lost) await reload(); // the server has forgotten this visitor: start again from the link
    again = !answer; // the next answer must include the lost values
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

// an answer: values of elements, link, message, whether to measure, and a file to save
const receive = parts => {
  dress = undefined;
  for (const [id, value] of Object.entries(parts)) put(id, value);
};
const show = ({status: {link, message, wait, running, file, go: place, follow, ...about}, ...parts}, chosen) => {
  keepFocus(document.body, () => {
    if (about.markup) rebuild(about.markup);
    if (about.networks) networks(about);
    receive(parts);
  });
  release();
  if (!unanswered.some(({link}) => link !== undefined)) address(link, chosen);
  if (about.only !== undefined) alone(about.only);
  if (place) go(place);
  if (document.body.classList.contains("away")) say("");
  document.body.classList.remove("away");
  if (message !== undefined) say(message);
  if (wait === null) progress(wait);
  if (running) measure();
  if (follow) send({link: follow, chosen: true});
  if (file) take(file);
  else if (message !== undefined) made();
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
  const faces = report && await exported.fonts(getComputedStyle(document.body).fontFamily);
  const parts = report ? [before, "<style>", faces, "</style>", "<scr", "ipt>", await (await fetch(library())).text(), "</scr", "ipt>", after] : [text];
  save(new Blob(parts, {type: report ? "text/html" : "text/csv"}), name);
  made();
};

const wire = (props, trigger, server) => {
  held = unanswered.length > 1 || // the first one is the link
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
