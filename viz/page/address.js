// The link: what the address says, what of it this browser stores, and how it is copied.

const words = text => Object.fromEntries(new URLSearchParams(text));

// what is too long for the query stands there as a digest; this browser keeps what that is: for a reload, and for other tabs
const STORE = "mixer microscope", KEPT = 20, DIGEST = /[0-9a-f]{32}/g;
const LONGEST = 8000; // characters of a link, as in address.py
const stored = () => { try { return JSON.parse(localStorage.getItem(STORE)) ?? []; } catch { return []; } };
const texts = new Map(stored());
const keep = found => {
  for (const [digest, text] of Object.entries(found)) texts.set(digest, text);
  const all = [...stored().filter(([digest]) => !(digest in found)), ...Object.entries(found)].slice(-KEPT);
  for (; all.length; all.shift()) // the oldest goes where the store is full; there may be none at all
    try { return localStorage.setItem(STORE, JSON.stringify(all)); } catch { continue; }
};
// the link of this page, or of a view in it, or of that alone, as it can be copied: with all that it stands for, or as short as it is
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
// what the address says, with all that it stands for
const fromAddress = ({search, hash} = location) => {
  const brought = new Map(new URLSearchParams(hash.slice(1)));
  const text = digest => brought.get(digest) ?? texts.get(digest);
  return (search + hash).replace(DIGEST, digest => encodeURIComponent(text(digest) ?? digest));
};

// the browser's Back comes back to another network, tab or picture; all else is as it was there
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
