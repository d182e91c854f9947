// The page in the browser: what is selected goes to the server in the words of a link, what comes back is shown.
// The scripts beside this one are in one scope with it: `markup.head` puts them together.

document.querySelector("base")?.remove(); // with Gradio's "./", "#id" is of another page once the link has changed

// markup is on the page: bring it to life, and show what has come for it
const kinds = {view, tabs, picker, controls};
let ofNetwork = {}; // by the id of its place; Gradio puts what is in its drawer on the page when that is opened
const bind = host => {
  for (const [id, html] of Object.entries(ofNetwork)) {
    const place = host.querySelector(`#${id}`);
    if (place) place.innerHTML = html;
  }
  for (const element of host.querySelectorAll("[data-kind]")) {
    shows.set(element.id, kinds[element.dataset.kind](element));
    if (element.id in latest) put(element.id, latest[element.id]);
  }
  for (const element of document.querySelectorAll("#specimen, #status, .bars")) sizes.observe(element);
};

window.instrument = {bind, wire, status, header, photo, announce, mark};
