/** Sockets as an operator finds them on disk. */

import { assertEquals } from "@std/assert";
import { bindListener } from "../../../lib/inbound/bind.ts";

Deno.test("every user who may enter the folder of a Unix socket may connect, whatever the umask", async () => {
  const folder = await Deno.makeTempDir();
  const umask = Deno.umask(0o077);
  try {
    const path = `${folder}/lmtp.sock`;
    const noCertificates = (): never => {
      throw new Error("no TLS here");
    };
    const listener = await bindListener({ bind: { kind: "unix", path }, service: "lmtp", tls: "off" }, noCertificates);
    const { mode } = await Deno.lstat(path);
    listener.close();
    assertEquals((mode ?? 0) & 0o777, 0o666);
  } finally {
    Deno.umask(umask);
    await Deno.remove(folder, { recursive: true });
  }
});
