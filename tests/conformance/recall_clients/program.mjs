// A program with a hard-coded Recall host, as people write them: create, wait, walk every page, download. It knows of no proxy.
// Usage: node program.mjs CLIENT; CLIENT is axios-old, axios-new, axios-agent, undici or fetch.
const API = "https://us-east-1.recall.ai/api/v1";
const KEY = process.env.RECALL_API_KEY;
const client = process.argv[2];

async function requester() {
  if (client.startsWith("axios")) {
    const axios = (await import(client === "axios-old" ? "axios" : "axios-new")).default;
    let options = {};
    if (client === "axios-agent") {
      const { HttpsProxyAgent } = await import("https-proxy-agent");
      options = { httpsAgent: new HttpsProxyAgent(process.env.HTTPS_PROXY), proxy: false };
    }
    return async (method, url, { json, key } = {}) => {
      const headers = key ? { authorization: `Token ${KEY}` } : {};
      const answer = await axios.request({ method, url, data: json, headers, responseType: "text", transformResponse: (text) => text, ...options });
      return { status: answer.status, text: answer.data };
    };
  }
  if (client === "undici") {
    const { EnvHttpProxyAgent, setGlobalDispatcher, fetch: undiciFetch } = await import("undici");
    setGlobalDispatcher(new EnvHttpProxyAgent());
    globalThis.fetch = undiciFetch;
  }
  return async (method, url, { json, key } = {}) => {
    const headers = { ...(key ? { authorization: `Token ${KEY}` } : {}), ...(json ? { "content-type": "application/json" } : {}) };
    const answer = await fetch(url, { method, headers, body: json ? JSON.stringify(json) : undefined });
    return { status: answer.status, text: await answer.text() };
  };
}

const request = await requester();
const body = JSON.parse(process.env.CREATE_BODY);
const created = await request("POST", `${API}/meeting_direct_connect`, { json: body, key: true });
const mdc = JSON.parse(created.text);
let shown;
for (let tries = 0; tries < 50; tries++) {
  shown = JSON.parse((await request("GET", `${API}/meeting_direct_connect/${mdc.id}`, { key: true })).text);
  if (shown.recordings[0]?.status.code === "done") break;
  await new Promise((resolve) => setTimeout(resolve, 100));
}
const ids = [];
for (let next = `${API}/recording/`; next !== null; ) {
  // As a published pager does: a link that leaves the base URL is not followed.
  if (!next.startsWith(API)) throw new Error(`the next page is elsewhere: ${next}`);
  const page = JSON.parse((await request("GET", next, { key: true })).text);
  ids.push(...page.results.map((recording) => recording.id));
  next = page.next;
}
const link = shown.recordings[0].media_shortcuts.video_mixed.data.download_url;
const video = await request("GET", link, {});
console.log(JSON.stringify({ created: created.status, mdc: mdc.id, recordings: ids, link, video: video.text }));
