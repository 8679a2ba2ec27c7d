/** A private Postfix for the benchmark. */

import { mustRun, runCommand } from "../support/interop/command.ts";
import { Daemon } from "../support/interop/daemon.ts";
import { freePort } from "../support/interop/free_port.ts";
import { programPath } from "../support/interop/peers.ts";
import { waitUntil } from "../support/interop/wait.ts";
import { greets } from "./greeting.ts";
import type { BenchServer, ServerOptions } from "./servers.ts";

/** Starts a private Postfix that is tuned for throughput: no lookups of clients, no throttle, wide delivery. */
export async function startPostfix({ folder, sinkPort, preload }: ServerOptions): Promise<BenchServer> {
  const port = freePort();
  for (const name of ["conf", "spool", "lib", "log", "mail"]) await Deno.mkdir(`${folder}/${name}`);
  await mustRun(["chown", "nobody", `${folder}/mail`]);
  await mustRun(["chown", "postfix", `${folder}/lib`]);
  const user = (await mustRun(["id", "-u", "nobody"])).trim();
  const preloaded = preload === undefined ? "" : `import_environment = MAIL_CONFIG LD_PRELOAD=${preload}\n`;
  await Deno.writeTextFile(`${folder}/conf/main.cf`, mainCf(folder, sinkPort, user) + preloaded);
  await Deno.writeTextFile(`${folder}/conf/master.cf`, `127.0.0.1:${port} inet n - n - 1200 smtpd\n${MASTER_CF}`);
  const postfix = [programPath("postfix"), "-c", `${folder}/conf`];
  const startMs = performance.now();
  const starter = new Daemon([...postfix, "start-fg"]);
  const stop = async (): Promise<void> => {
    await runCommand([...postfix, "stop"]); // The program started is a script that waits for the master.
    await starter[Symbol.asyncDispose]();
  };
  try {
    const detail = (): string => starter.log;
    await waitUntil(() => greets(port), { what: "Postfix to greet", timeoutMs: 30_000, everyMs: 2, detail });
    const startSeconds = (performance.now() - startMs) / 1000;
    const pid = Number(await Deno.readTextFile(`${folder}/spool/pid/master.pid`));
    const door = { hostname: "127.0.0.1", port };
    return { door, checkedDoor: door, newFolder: `${folder}/mail/u1/new`, pid, startSeconds, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

const mainCf = (folder: string, sinkPort: number, user: string): string =>
  `compatibility_level = 3.6
queue_directory = ${folder}/spool
data_directory = ${folder}/lib
maillog_file = ${folder}/log/maillog
maillog_file_prefixes = ${folder}
myhostname = mx.bench.test
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mydestination =
mynetworks = 127.0.0.0/8
local_recipient_maps =
message_size_limit = 104857600
mailbox_size_limit = 0
virtual_mailbox_limit = 0
smtpd_recipient_restrictions = permit_mynetworks, reject_unauth_destination
virtual_mailbox_domains = bench.test
virtual_mailbox_base = ${folder}/mail
virtual_mailbox_maps = inline:{ u1@bench.test=u1/ }
virtual_minimum_uid = 1
virtual_uid_maps = static:${user}
virtual_gid_maps = static:${user}
relayhost = [127.0.0.1]:${sinkPort}
smtp_dns_support_level = disabled
smtpd_peername_lookup = no
smtpd_client_connection_count_limit = 0
in_flow_delay = 0
default_destination_concurrency_limit = 100
initial_destination_concurrency = 20
`;

const MASTER_CF = `cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
smtp unix - - n - - smtp
virtual unix - n n - - virtual
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
`;
