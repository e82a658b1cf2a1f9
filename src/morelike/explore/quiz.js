"use strict";
// Shows pair after pair. It is never told which picture is real before all are answered.
{
  const sides = ["left", "right"];
  const at = (id) => document.getElementById(id);
  const buttons = sides.map(at);
  let round = 0;
  let since = 0;
  let open = false;

  const ask = async (path, body) => {
    const how = body && {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    };
    const answer = await fetch(path, how || {});
    if (!answer.ok) throw new Error(answer.status);
    return answer.json();
  };

  const trouble = () => {
    open = false;
    buttons.forEach((one) => (one.disabled = true));
    at("trouble").textContent =
      "The quiz is no longer running. What was answered before is kept.";
  };

  const show = async (state) => {
    round = state.round;
    at("done").max = state.rounds;
    at("done").value = round;
    if (round === state.rounds) return end();
    const images = buttons.map((one) => one.querySelector("img"));
    images.forEach((one, i) => (one.src = `${round}/${sides[i]}.png`));
    // Time counts from when both can be seen.
    await Promise.all(images.map((one) => one.decode()));
    at("place").textContent = `Pair ${round + 1} of ${state.rounds}`;
    buttons.forEach((one) => (one.disabled = false));
    since = performance.now();
    open = true;
    if (round + 1 < state.rounds) {
      sides.forEach((side) => (new Image().src = `${round + 1}/${side}.png`));
    }
  };

  const choose = async (side) => {
    if (!open) return;
    open = false;
    buttons.forEach((one) => (one.disabled = true));
    const seconds = (performance.now() - since) / 1000;
    try {
      await show(await ask("answer", { round, side, seconds }));
    } catch {
      trouble();
    }
  };

  const made = (tag, words, parent) => {
    const one = document.createElement(tag);
    one.textContent = words;
    parent.append(one);
    return one;
  };

  const end = async () => {
    const result = await ask("result");
    at("asking").hidden = true;
    at("result").hidden = false;
    at("heading").textContent = "Your score";
    at("lead").textContent = "The answers are stored; this window may be closed.";
    for (const line of result.lines) made("p", line, at("lines")).className = "score";
    made("h2", result.fooled.length ? "What fooled you" : "Nothing fooled you", at("result"));
    const list = made("ul", "", at("result"));
    list.className = "fooled";
    for (const one of result.fooled) {
      const pair = made("li", "", list);
      for (const side of sides) {
        const real = side === one.real_on;
        const figure = made("figure", "", pair);
        const image = made("img", "", figure);
        image.src = one[side];
        image.alt = real ? `real: ${one.real}` : "generated, taken for real";
        made("figcaption", real ? "real" : "generated", figure);
        if (!real) figure.className = "taken";
      }
    }
    at("heading").focus();
  };

  buttons.forEach((one, i) => one.addEventListener("click", () => choose(sides[i])));
  document.addEventListener("keydown", (event) => {
    const side = { ArrowLeft: "left", ArrowRight: "right" }[event.key];
    if (!side || event.repeat || event.altKey || event.ctrlKey || event.metaKey) return;
    if (!at("asking").hidden) event.preventDefault();
    choose(side);
  });
  ask("state").then(show).catch(trouble);
}
