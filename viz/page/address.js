// The address: its parameters, the long values that this browser stores, and copies of the link.

const words = text => Object.fromEntries(new URLSearchParams(text));

// the query has digests of long values; the browser stores the values for reloads and other tabs
const STORE = "mixer microscope", MAX_STORED = 20, DIGEST = /[0-9a-f]{32}/g;
const LONGEST = 8000; // as in address.py
const stored = () => { try { return JSON.parse(localStorage.getItem(STORE)) ?? []; } catch { return []; } };
const texts = new Map(stored());
const keep = found => {
  for (const [digest, text] of Object.entries(found)) texts.set(digest, text);
  const all = [...stored().filter(([digest]) => !(digest in found)), ...Object.entries(found)].slice(-MAX_STORED);
  for (; all.length; all.shift()) // if the store is full, drop the oldest value; there may be no store
    try { return localStorage.setItem(STORE, JSON.stringify(all)); } catch { continue; }
};
// the link to this page or to a view (as: "view" or "only"), complete if it is not too long
const link = (view, as = "view") => {
  const page = new URL(location.href), add = view ? `${as}=${view}` : "";
  page.hash = "";
  page.search = [page.search.slice(1).split("&").filter(word => !word.startsWith("only=")).join("&"), add].filter(Boolean).join("&");
  const here = page.href;
  const digests = location.search.match(DIGEST) ?? [];
  const fragment = new URLSearchParams(digests.map(digest => [digest, texts.get(digest) ?? ""])).toString();
  const whole = location.search.length + fragment.length < LONGEST;
  return {text: fragment && whole ? `${here}#${fragment}` : here, whole};
};
// the parameters of the address, with the values of digests
const fromAddress = ({search, hash} = location) => {
  const brought = new Map(new URLSearchParams(hash.slice(1)));
  const text = digest => brought.get(digest) ?? texts.get(digest);
  return (search + hash).replace(DIGEST, digest => encodeURIComponent(text(digest) ?? digest));
};

// entries of the browser's history: another network, tab or picture
const CHAPTERS = ["network", "lens", "sample", "picture"];
let shown = location.search;
const address = (own, chosen) => {
  const foreign = new URLSearchParams([...new URLSearchParams(location.search)].filter(([name]) => name.startsWith("__") || name === "only"));
  const query = [foreign.toString(), own].filter(Boolean).join("&");
  const place = document.getElementById(location.hash.slice(1)) ? location.hash : "";
  const [was, is] = [location.search, query].map(text => new URLSearchParams(text));
  const next = chosen && CHAPTERS.some(name => was.get(name) !== is.get(name));
  history[next ? "pushState" : "replaceState"](history.state, "", `${location.pathname}${query ? `?${query}` : ""}${place}`);
  shown = location.search;
};
addEventListener("popstate", () => { if (location.search !== shown) send({link: fromAddress()}); });

const withWords = words => {
  const all = new URLSearchParams(fromAddress().split("#")[0]);
  for (const [name, text] of Object.entries(words)) all.set(name, text);
  return all;
};
