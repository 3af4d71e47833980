#include "http/docs_page.h"

namespace millrace::http {

const std::string_view kDocsPagePolicy =
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'";

const std::string_view kDocsPage = R"html(<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Millrace</title>
<style>
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1b1f24; background: #fff; }
  h2 { margin-top: 2rem; border-bottom: 1px solid #d8dee4; text-transform: capitalize; }
  details { border: 1px solid #d8dee4; border-radius: 6px; margin: .5rem 0; padding: .5rem .75rem; }
  summary { cursor: pointer; }
  code, pre, input, textarea { font-family: ui-monospace, monospace; font-size: .875rem; }
  pre { background: #f6f8fa; padding: .75rem; border-radius: 6px; overflow: auto; max-height: 24rem; }
  label { display: grid; grid-template-columns: 12rem 1fr; gap: .5rem; margin: .25rem 0; align-items: center; }
  input, textarea { width: 100%; box-sizing: border-box; padding: .25rem; }
  .method { display: inline-block; min-width: 4.5rem; margin-right: .5rem; font-weight: 600; }
  .hint { color: #57606a; }
  .wrong { color: #b3261e; }
  @media (prefers-color-scheme: dark) {
    body { color: #e6edf3; background: #0d1117; } pre { background: #161b22; }
    details, h2 { border-color: #30363d; } .hint { color: #8b949e; } .wrong { color: #ff7b72; }
    input, textarea { background: #0d1117; color: inherit; border: 1px solid #30363d; }
  }
</style>
<h1>Millrace</h1>
<p class="hint">What this node answers over HTTP, from <a href="/openapi.json">/openapi.json</a>.</p>
<label>Bearer token <input id="token" type="password" autocomplete="off" placeholder="where clients must sign in"></label>
<main id="routes"></main>
<script>
const element = (tag, text, ...children) => {
  const made = document.createElement(tag);
  if (text) made.textContent = text;
  made.append(...children);
  return made;
};
const headers = () => {
  const token = document.getElementById("token").value;
  return token ? { Authorization: "Bearer " + token } : {};
};
function form(document_, path, method, operation, shared) {
  const resolve = part => part.$ref ? part.$ref.split("/").slice(1).reduce((at, name) => at[name], document_) : part;
  const inputs = [];
  const box = element("form");
  for (const parameter of [...shared, ...(operation.parameters || [])].map(resolve)) {
    const input = element("input");
    input.placeholder = parameter.description || "";
    input.required = !!parameter.required;
    if (parameter.schema && parameter.schema.default !== undefined) input.placeholder = "default " + JSON.stringify(parameter.schema.default);
    inputs.push([parameter, input]);
    box.append(element("label", parameter.name + (parameter.required ? " *" : ""), input));
  }
  const body = operation.requestBody ? element("textarea") : null;
  if (body) { body.rows = 4; box.append(element("label", "body", body)); }
  const answer = element("pre");
  answer.hidden = true;
  box.append(element("button", "Send"), answer);
  box.onsubmit = async event => {
    event.preventDefault();
    let at = path;
    const query = new URLSearchParams(), sent = headers();
    for (const [parameter, input] of inputs) {
      if (input.value === "") continue;
      if (parameter.in === "path") at = at.replace("{" + parameter.name + "}", encodeURIComponent(input.value));
      if (parameter.in === "query") query.set(parameter.name, input.value);
      if (parameter.in === "header") sent[parameter.name] = input.value;
    }
    if (body) sent["Content-Type"] = Object.keys(operation.requestBody.content)[0];
    answer.hidden = false;
    try {
      const got = await fetch(at + (query.size ? "?" + query : ""), { method: method.toUpperCase(), headers: sent, body: body ? body.value : undefined });
      answer.textContent = got.status + " " + got.statusText + "\n" + await got.text();
    } catch (error) { answer.textContent = String(error); }
  };
  return box;
}
async function show() {
  const routes = document.getElementById("routes");
  routes.replaceChildren();
  const got = await fetch("/openapi.json", { headers: headers() });
  if (!got.ok) {
    const message = element("p", (await got.json()).error.message);
    message.className = "wrong";
    routes.append(message);
    return;
  }
  const document_ = await got.json();
  const groups = new Map();
  for (const [path, item] of Object.entries(document_.paths)) {
    for (const [method, operation] of Object.entries(item)) {
      if (method === "parameters") continue;
      const tag = operation.tags[0];
      if (!groups.has(tag)) groups.set(tag, []);
      const name = element("span", method.toUpperCase());
      name.className = "method";
      const summary = element("summary", "", name, element("code", path), " ", element("span", operation.summary));
      groups.get(tag).push(element("details", "", summary, form(document_, path, method, operation, item.parameters || [])));
    }
  }
  for (const [tag, details] of groups) routes.append(element("h2", tag), ...details);
}
document.getElementById("token").onchange = show;
show();
</script>
</html>
)html";

}  // namespace millrace::http
