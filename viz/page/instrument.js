// The page in the browser: sends events to the server, with parameters as in a link, and shows the values of its answers.
// All scripts share one scope: `markup.head` joins them.

document.querySelector("base")?.remove(); // with Gradio's "./", "#id" would lead to another page after a change of the link

// bind markup, and show its values
const kinds = {view, tabs, picker, controls};
let ofNetwork = {}; // markup by id; Gradio creates the content of the drawer when it opens
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
