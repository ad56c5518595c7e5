// Verifies webhooks with the vendors' own npm packages. Reads {secret, headers, body} lines; writes what each package says of each.
import { createInterface } from "node:readline";
import { Webhook as Standard } from "standardwebhooks";
import { Webhook as Svix } from "svix";

for await (const line of createInterface({ input: process.stdin })) {
  const { secret, headers, body } = JSON.parse(line);
  const says = {};
  for (const [name, Webhook] of [["svix", Svix], ["standardwebhooks", Standard]]) {
    try {
      new Webhook(secret).verify(body, headers);
      says[name] = "verified";
    } catch (error) {
      says[name] = error.message;
    }
  }
  console.log(JSON.stringify(says));
}
