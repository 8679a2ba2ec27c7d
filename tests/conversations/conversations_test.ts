/** Plays every `.smtp` script of this folder. */

import { canUpgradeServer } from "../../lib/tls/server_tls.ts";
import { parseScript, play } from "../support/conversation.ts";

const folder = new URL(".", import.meta.url);
const files = [...Deno.readDirSync(folder)].map(({ name }) => name).filter((name) => name.endsWith(".smtp")).sort();

for (const file of files) {
  const script = parseScript(Deno.readTextFileSync(new URL(file, folder)), file);
  Deno.test({
    name: `${file}: ${script.name}`,
    // Server-side STARTTLS needs Deno 2.8.
    ignore: script.needsTls && !canUpgradeServer,
    fn: () => play(script, file),
  });
}
