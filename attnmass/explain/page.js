"use strict";
(() => {
  const { sheets, choices, chunks: numbers } = JSON.parse(document.getElementById("data").textContent);
  const form = document.getElementById("look");
  const heads = document.getElementById("heads");
  const words = document.getElementById("words"); // of the query, or sentences of the answer
  const out = document.getElementById("out");
  const copy = document.getElementById("copy");
  const status = document.getElementById("status");
  const cells = document.querySelectorAll("main i, main u");
  const named = document.querySelectorAll("[data-by]"); // by sentences of the answer
  const most = document.querySelectorAll(".swatch").length;
  let first = 0;
  const chunks = Array.from(document.querySelectorAll("article"), (article) => {
    const top = article.querySelector(".top");
    const chunk = { article, top, start: first, nodes: Array.from(top.childNodes) };
    first += article.querySelectorAll("i, u").length;
    return { ...chunk, end: first };
  });
  // A letter stands for a run of zeros: a for 2, z for 27.
  const unpack = (text) =>
    text.replace(/[a-z]/g, (run) => "0".repeat(run.charCodeAt(0) - 95));
  let now = unpack(sheets["0.0"].levels);

  const tellTop = ({ top, start, end }) => {
    const found = [];
    for (let level = most; level > 0 && found.length < 4; level--) {
      for (let i = start; i < end && found.length < 4; i++) {
        const text = now[i] === String(level) ? cells[i].textContent : "";
        if (/[\p{L}\p{N}]/u.test(text)) found.push([text, level]);
      }
    }
    top.textContent = found.length ? "Most looked at: " : "";
    found.forEach(([text, level], i) => {
      const word = document.createElement("bdi");
      word.textContent = text;
      top.append(word, ` ${level}/${most}${i + 1 < found.length ? ", " : ""}`);
    });
  };

  const draw = () => {
    const view = heads.value;
    const chosen = words && words.querySelector("input:checked");
    if (words) {
      for (const input of words.querySelectorAll("input")) {
        input.disabled = !(`${view}.${input.value}` in sheets);
      }
      if (chosen.disabled) words.querySelector("input").checked = true;
    }
    const input = words && words.querySelector("input:checked");
    const word = input ? input.value : "0";
    const key = `${view}.${word}`;
    const sheet = sheets[key];
    const next = unpack(sheet.levels);
    for (let i = 0; i < cells.length; i++) {
      if (next[i] !== now[i]) cells[i].className = "l" + next[i];
    }
    now = next;
    const largest = Math.max(...sheet.masses, 0);
    chunks.forEach((chunk, i) => {
      const mass = sheet.masses[i];
      chunk.article.querySelector("output").textContent = mass.toFixed(4);
      const fill = chunk.article.querySelector(".mass .fill");
      if (fill) fill.setAttribute("width", largest ? ((100 * mass) / largest).toFixed(1) : "0");
      if (key === "0.0") chunk.top.replaceChildren(...chunk.nodes);
      else tellTop(chunk);
    });
    for (const element of named) {
      element.classList.toggle("on", element.dataset.by.split(" ").includes(word));
    }
    document.body.classList.toggle("one", word !== "0");
    status.textContent = `Shown: ${heads.selectedOptions[0].textContent}; ${choices[word]}. Most attention on a word: ${sheet.largest}.`;
  };

  // What was left out of a chunk is folded away behind its reason.
  const gaps = Array.from(document.querySelectorAll(".gap"), (label) => {
    const gap = document.createElement("button");
    gap.type = "button";
    gap.className = label.className;
    gap.textContent = label.textContent;
    label.replaceWith(gap);
    gap.addEventListener("click", () => open(gap, gap.getAttribute("aria-expanded") !== "true"));
    return gap;
  });
  const open = (gap, wide) => {
    gap.setAttribute("aria-expanded", String(wide));
    gap.parentElement.classList.toggle("open", wide);
  };
  const openAll = (wide) => {
    for (const gap of gaps) open(gap, wide);
    for (const fold of document.querySelectorAll(".out details")) fold.open = wide;
  };

  // In a notebook's frame a link to a place of this page would lead to the notebook's.
  for (const link of document.querySelectorAll('a[href^="#"]')) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      const place = document.getElementById(link.hash.slice(1));
      if (place.tagName === "DETAILS") place.open = true;
      const target = place.querySelector("summary") || place;
      if (target === place) target.tabIndex = -1;
      target.scrollIntoView({ block: target.tagName === "MARK" ? "center" : "start" });
      target.focus({ preventScroll: true });
    });
  }

  // What is known of each span: told where the pointer rests on it, and copied.
  const spans = numbers.map((chunk, i) =>
    Array.from(chunks[i].article.querySelectorAll("mark, del"), (element, j) => {
      const [start, end, score, mass = null, relevance = null, number = null, text] = chunk.spans[j];
      const places = (from) => [from + start, from + end].map((place) => place.toLocaleString("en"));
      const facts = [`characters ${places(0).join(" to ")}`];
      if (chunk.offset !== undefined) facts.push(`${places(chunk.offset).join(" to ")} of its document`);
      if (number !== null) facts.push(`cited as [${number}]`);
      if (score !== null) facts.push(`score ${score.toFixed(4)}`);
      if (relevance !== null) facts.push(`relevance ${relevance.toFixed(3)}`);
      if (mass !== null) facts.push(`mass ${mass.toFixed(4)}`);
      element.title = facts.join(" · ");
      return { element, start, end, score, mass, relevance, number, text };
    }));
  const ownText = (element) => {
    const copied = element.cloneNode(true);
    for (const sign of copied.querySelectorAll(".ok, .sr")) sign.remove();
    return copied.textContent;
  };
  const toCopy = () => ({
    query: document.querySelector("h1").textContent,
    chunks: numbers.filter((chunk) => chunk.rank !== undefined).map(({ offset, ...chunk }, i) => ({
      ...chunk,
      spans: spans[i].filter(({ number }) => number !== null).map(({ element, text, ...span }) => ({
        ...span,
        doc_start: offset === undefined ? null : offset + span.start,
        doc_end: offset === undefined ? null : offset + span.end,
        text: text === undefined ? ownText(element) : text,
      })),
    })),
  });

  // A frame, such as a notebook's, may not use the clipboard in the newer way.
  const copyText = async (text) => {
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "sr";
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    copy.focus();
    if (done || self !== top) return done;
    return navigator.clipboard.writeText(text).then(() => true, () => false);
  };
  const tellCopied = async () => {
    const done = await copyText(JSON.stringify(toCopy(), null, 1));
    document.getElementById("copied").textContent = done ? "copied" : "the browser does not let this page copy";
  };

  form.hidden = false;
  form.addEventListener("submit", (event) => event.preventDefault());
  heads.addEventListener("change", draw);
  if (words) words.addEventListener("change", draw);
  if (out) out.addEventListener("change", () => openAll(out.checked));
  if (copy) copy.addEventListener("click", tellCopied);
  for (const gap of gaps) open(gap, false);
  document.body.classList.add("folded");
})();
