/**
 * The servers of the benchmark. Each takes mail for u1@bench.test into a Maildir and relays u1@sink.test to a sink on
 * loopback; no TLS, no login, no limits on clients, its log in a file.
 */

import { mustRun, runCommand } from "../support/interop/command.ts";
import { Daemon } from "../support/interop/daemon.ts";
import { freePort } from "../support/interop/free_port.ts";
import { programPath } from "../support/interop/peers.ts";
import { pause, waitUntil } from "../support/interop/wait.ts";
import { PosthornProcess } from "../support/posthorn_process.ts";

/** A running server. */
export interface BenchServer {
  readonly port: number;
  /** Where messages to u1@bench.test appear. */
  readonly newFolder: string;
  /** Its only process, or the parent of all others. */
  readonly pid: number;
  /** Ends it; its mail stays, because deletions slow ext4 down for minutes. */
  stop(): Promise<void>;
}

/** What a server is started with. */
export interface ServerOptions {
  /** Empty, and other users may enter it. */
  readonly folder: string;
  /** Where mail for sink.test goes: a port of 127.0.0.1. */
  readonly sinkPort: number;
  /** A DNS server on 127.0.0.1 that knows no names, so that nothing leaves the machine. */
  readonly dnsPort: number;
}

/** Starts posthorn with the defaults of a small site: all checks, log on. */
export async function startPosthorn({ folder, sinkPort, dnsPort }: ServerOptions): Promise<BenchServer> {
  const posthorn = await PosthornProcess.start({
    listeners: [{ service: "mx" }],
    accounts: [{ address: "u1@bench.test", password: "correct horse" }],
    dataFolder: `${folder}/data`,
    // Reading the log through a pipe would cost time of the cores that are measured.
    prefix: ["sh", "-c", 'exec "$@" >>"$0" 2>&1', `${folder}/log`],
    config: {
      hostname: "mx.bench.test",
      domains: { "bench.test": {} },
      relay_from: ["127.0.0.0/8"],
      routes: [{ domain: "sink.test", via: `smtp://127.0.0.1:${sinkPort}` }],
      limits: { connections: 20_000, connections_per_ip: 20_000 },
      dns: { servers: [`127.0.0.1:${dnsPort}`] },
    },
  });
  const newFolder = `${folder}/data/mail/bench.test/u1/new`;
  return { port: posthorn.port("mx"), newFolder, pid: posthorn.pid, stop: () => posthorn[Symbol.asyncDispose]() };
}

/** Starts a private Postfix that is tuned for throughput: no lookups of clients, no throttle, wide delivery. */
export async function startPostfix({ folder, sinkPort }: ServerOptions): Promise<BenchServer> {
  const port = freePort();
  for (const name of ["conf", "spool", "lib", "log", "mail"]) await Deno.mkdir(`${folder}/${name}`);
  await mustRun(["chown", "nobody", `${folder}/mail`]);
  await mustRun(["chown", "postfix", `${folder}/lib`]);
  await Deno.writeTextFile(
    `${folder}/conf/main.cf`,
    mainCf(folder, sinkPort, (await mustRun(["id", "-u", "nobody"])).trim()),
  );
  await Deno.writeTextFile(`${folder}/conf/master.cf`, `127.0.0.1:${port} inet n - n - 1200 smtpd\n${MASTER_CF}`);
  const postfix = [programPath("postfix"), "-c", `${folder}/conf`];
  const starter = new Daemon([...postfix, "start-fg"]);
  const stop = async (): Promise<void> => {
    await runCommand([...postfix, "stop"]); // The program started is a script that waits for the master.
    await starter[Symbol.asyncDispose]();
  };
  try {
    await waitUntil(() => greets(port), { what: "Postfix to greet", timeoutMs: 30_000, detail: () => starter.log });
    const pid = Number(await Deno.readTextFile(`${folder}/spool/pid/master.pid`));
    return { port, newFolder: `${folder}/mail/u1/new`, pid, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** True once a server greets on a port of 127.0.0.1. */
export async function greets(port: number): Promise<true | undefined> {
  using connection = await Deno.connect({ port }).catch(() => undefined);
  const banner = connection?.read(new Uint8Array(512)).catch(() => null);
  return await Promise.race([banner, pause(5_000)]) ? true : undefined;
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
