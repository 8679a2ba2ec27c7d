import { assert, assertEquals, assertFalse, assertStringIncludes } from "@std/assert";
import { resolve } from "node:path";
import { parseDocument } from "yaml";
import type { Config } from "../../../lib/config/config.ts";
import { ConfigError } from "../../../lib/config/errors.ts";
import { CONFIG_KEYS } from "../../../lib/config/keys.ts";
import { loadConfig } from "../../../lib/config/load.ts";
import type { ConfigIo } from "../../../lib/config/source.ts";

const FILE = "/etc/posthorn/posthorn.yaml";
const SHORTEST = "hostname: mail.example.org\ndomains:\n  example.org:\n";

function ioOf(files: Record<string, string>, variables: Record<string, string> = {}): ConfigIo {
  return {
    readText: (path) => {
      const text = files[path];
      return text === undefined ? Promise.reject(new Deno.errors.NotFound(path)) : Promise.resolve(text);
    },
    env: (name) => variables[name],
  };
}

function load(text: string, files: Record<string, string> = {}, variables?: Record<string, string>): Promise<Config> {
  return loadConfig(FILE, ioOf({ ...files, [FILE]: text }, variables));
}

async function problemsOf(loading: Promise<Config>): Promise<string> {
  const error = await loading.then(() => undefined, (error: unknown) => error);
  assert(error instanceof ConfigError, `no ConfigError but ${error}`);
  return error.message;
}

Deno.test("The shortest configuration gets defaults that are right for a small site", async () => {
  assertEquals(await load(SHORTEST), {
    file: FILE,
    hostname: "mail.example.org",
    data: "/etc/posthorn/data",
    listeners: [
      { bind: { kind: "tcp", host: "::", port: 25 }, service: "mx", tls: "starttls" },
      { bind: { kind: "tcp", host: "::", port: 587 }, service: "submission", tls: "starttls" },
      { bind: { kind: "tcp", host: "::", port: 465 }, service: "submission", tls: "implicit" },
    ],
    certificates: [],
    domains: new Map([["example.org", { name: "example.org", dkim: [] }]]),
    recipientDelimiter: "+",
    accountsFile: "/etc/posthorn/accounts.yaml",
    aliases: new Map(),
    includeFiles: [],
    forwarding: { srs: true, maxAgeMs: 1_814_400_000 },
    mailboxes: { lineEndings: "lf", subaddressFolders: true, quota: { whenFull: "defer", warnAt: [80, 95] } },
    binaryMime: false,
    relayFrom: [],
    xclientFrom: [],
    msgauth: {
      authservId: "mail.example.org",
      spf: true,
      dkim: true,
      dmarc: "enforce",
      quarantine: "junk",
      onTemporaryError: "defer_reject",
      trustedForwarders: [],
      trustedSealers: [],
      arc: "off",
    },
    mx: {},
    submission: { senders: "own", bareLf: "refuse" },
    auth: {},
    routes: [],
    queue: {
      retryMs: [300_000, 600_000, 1_200_000, 1_800_000, 3_600_000, 7_200_000, 14_400_000],
      warnAfterMs: 14_400_000,
      expireAfterMs: 432_000_000,
    },
    delivery: {
      concurrency: 200,
      perDestination: 20,
      tls: "opportunistic",
      dane: true,
      mtaSts: true,
      ipv6: "auto",
      connectionMessages: 100,
      connectionIdleMs: 5_000,
    },
    destinations: [],
    limits: {
      messageOctets: 52_428_800,
      headerOctets: 262_144,
      headerFields: 1_000,
      recipients: 1_000,
      connections: 2_000,
      connectionsPerIp: 50,
      freeSpace: { octets: 104_857_600, percent: 2 },
    },
    dnsServers: [],
    reports: {
      dmarc: { send: false },
      tls: { send: false },
      from: "postmaster@example.org",
      organization: "mail.example.org",
      receive: [],
      keepMs: 7_776_000_000,
    },
    log: { level: "info", format: "text" },
    admin: { socket: "/etc/posthorn/data/admin.sock" },
  });
});

Deno.test("A configuration with every key is read into the units that the program uses", async () => {
  const config = await load(
    `
hostname: MAIL.Bücher.example
data: /var/lib/posthorn
user: posthorn
listeners:
  - { bind: "[2001:DB8::1]:25", service: mx, tls: off }
  - { bind: "localhost:587", service: submission, proxy_protocol: [10.0.0.1, "2001:db8::/32"] }
  - { bind: "unix:lmtp.sock", service: lmtp }
  - { bind: "unix:/run/lmtp.sock", service: lmtp }
  - { bind: "[::]:443", service: web }
  - { bind: "127.0.0.1:8080", service: web, tls: off }
  - { bind: "unix:web.sock", service: web }
tls: { certificates: [{ chain: tls/chain.pem, key: /etc/ssl/key.pem }] }
domains:
  Bücher.example: { catch_all: Carol@elsewhere.EXAMPLE, dkim: [s2026, rsa.2026], mx: [MX.Bücher.example, mx.b.example], mta_sts: enforce }
  b.example: { alias_of: c.example }
  c.example: { alias_of: bücher.example, dkim: [] }
recipient_delimiter: ""
accounts: ../accounts.yaml
aliases:
  Sales@BÜCHER.example: [Alice@bücher.example, '"a b"@elsewhere.example']
  "info@xn--bcher-kva.example": alice@bücher.example
  news@bücher.example: { include: lists/news.txt }
  list@bücher.example:
    members: [Alice@bücher.example, carol@elsewhere.example]
    include: [lists/news.txt, /etc/more]
    owner: Boss@ELSEWHERE.example
forwarding: { srs: false, domain: BÜCHER.example, max_age: 10d }
mailboxes:
  line_endings: crlf
  subaddress_folders: false
  quota: { storage: 2GiB, messages: 100000, when_full: refuse, warn_at: [50%, 100%] }
  via: "lmtp://unix:run/dovecot-lmtp"
  secret: whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD
reports:
  dmarc: { send: true }
  tls: { send: true }
  from: reports@bücher.example
  organization: Buecher and Co
  receive: [dmarc@bücher.example, TLS@b.example]
  keep: 30d
binary_mime: true
relay_from: [192.0.2.0/24, "2001:db8::/32", 198.51.100.7]
xclient_from: [10.0.0.1]
mx: { greet_delay: 6s }
msgauth:
  { authserv_id: Example.org, spf: true, dkim: true, dmarc: none, quarantine: header, on_temporary_error: defer,
    trusted_forwarders: [192.0.2.0/24, "2001:db8::1", Lists.BÜCHER.example], trusted_sealers: [a.example], arc: seal }
submission: { senders: any, rate: 500/1h, bare_lf: repair }
auth: { dovecot: "unix:run/auth-client", mechanisms: [LOGIN, SCRAM-SHA-256-PLUS, PLAIN] }
routes:
  - { domain: Intern.Example, via: "lmtp://127.0.0.1" }
  - { domain: "*.Branch.example", via: "smtps://[2001:DB8::2]/", tls: required }
  - { domain: a.example, via: "lmtp://unix:run/lmtp.sock" }
  - { domain: d.example, via: "smtp://[::1]", tls: off, source: ["::FFFF"], xclient: true }
  - { domain: e.example, via: "HTTPS://App.Example/mail", secret: !file hook }
  - { domain: "*", via: "smtp://smarthost.example:587", username: u, password: !file secret }
queue: { retry: [90s, 1d], warn_after: 2h, expire_after: 3d }
delivery:
  { concurrency: 10, per_destination: 2, tls: required, dane: false, mta_sts: false, ipv6: off, source: ["2001:DB8:0::7", 192.0.2.7],
    connection_messages: 20, connection_idle: 1m }
destinations:
  - { name: google, concurrency: 3, rate: 100/1m }
  - { name: "*", warm_up: { start: 2026-12-01, per_day: 50 } }
limits:
  { message_size: 512KiB, header_size: 64KiB, header_fields: 300, recipients: 100, connections: 20, connections_per_ip: 5,
    free_space: 2.5% }
dns: { servers: ["127.0.0.1:5353", "[::1]", 192.0.2.53], validating: true }
log: { level: debug, format: json }
admin: { bind: "unix:/run/posthorn/admin.sock" }
quick_start: Alice@bücher.example
`,
    {
      "/etc/posthorn/secret": "hunter2\r\n\n",
      "/etc/posthorn/lists/news.txt": "dora@elsewhere.example\nzoë@Bücher.example\n",
      "/etc/posthorn/hook": "the-old-secret-of-ours\n",
      "/etc/more": "a#b@elsewhere.example",
    },
  );
  const via = { host: "", port: 0, tls: "off" };
  assertEquals<unknown>(config, {
    file: FILE,
    hostname: "mail.xn--bcher-kva.example",
    data: "/var/lib/posthorn",
    user: "posthorn",
    listeners: [
      { bind: { kind: "tcp", host: "2001:db8::1", port: 25 }, service: "mx", tls: "off" },
      {
        bind: { kind: "tcp", host: "localhost", port: 587 },
        service: "submission",
        tls: "starttls",
        proxyProtocol: ["10.0.0.1", "2001:db8::/32"],
      },
      { bind: { kind: "unix", path: "/var/lib/posthorn/lmtp.sock" }, service: "lmtp", tls: "off" },
      { bind: { kind: "unix", path: "/run/lmtp.sock" }, service: "lmtp", tls: "off" },
      { bind: { kind: "tcp", host: "::", port: 443 }, service: "web", tls: "implicit" },
      { bind: { kind: "tcp", host: "127.0.0.1", port: 8080 }, service: "web", tls: "off" },
      { bind: { kind: "unix", path: "/var/lib/posthorn/web.sock" }, service: "web", tls: "off" },
    ],
    certificates: [{ chain: "/etc/posthorn/tls/chain.pem", key: "/etc/ssl/key.pem" }],
    domains: new Map<string, unknown>([
      ["xn--bcher-kva.example", {
        name: "xn--bcher-kva.example",
        catchAll: "Carol@elsewhere.example",
        dkim: ["s2026", "rsa.2026"],
        mx: ["mx.xn--bcher-kva.example", "mx.b.example"],
        mtaSts: "enforce",
      }],
      ["b.example", { name: "b.example", aliasOf: "xn--bcher-kva.example", dkim: ["s2026", "rsa.2026"] }],
      ["c.example", { name: "c.example", aliasOf: "xn--bcher-kva.example", dkim: [] }],
    ]),
    accountsFile: "/etc/accounts.yaml",
    aliases: new Map([
      ["sales@xn--bcher-kva.example", { targets: ["Alice@xn--bcher-kva.example", '"a b"@elsewhere.example'] }],
      ["info@xn--bcher-kva.example", { targets: ["alice@xn--bcher-kva.example"] }],
      ["news@xn--bcher-kva.example", { targets: ["dora@elsewhere.example", "zoë@xn--bcher-kva.example"] }],
      ["list@xn--bcher-kva.example", {
        targets: [
          "Alice@xn--bcher-kva.example",
          "carol@elsewhere.example",
          "dora@elsewhere.example",
          "zoë@xn--bcher-kva.example",
          "a#b@elsewhere.example",
        ],
        owner: "Boss@elsewhere.example",
      }],
    ]),
    includeFiles: ["/etc/posthorn/lists/news.txt", "/etc/more"],
    forwarding: { srs: false, domain: "xn--bcher-kva.example", maxAgeMs: 864_000_000 },
    mailboxes: {
      lineEndings: "crlf",
      subaddressFolders: false,
      quota: { octets: 2_147_483_648, messages: 100_000, whenFull: "refuse", warnAt: [50, 100] },
      via: { ...via, scheme: "lmtp", socketPath: "/etc/posthorn/run/dovecot-lmtp" },
      secret: "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
    },
    reports: {
      dmarc: { send: true },
      tls: { send: true },
      from: "reports@xn--bcher-kva.example",
      organization: "Buecher and Co",
      receive: ["dmarc@xn--bcher-kva.example", "tls@b.example"],
      keepMs: 2_592_000_000,
    },
    binaryMime: true,
    relayFrom: ["192.0.2.0/24", "2001:db8::/32", "198.51.100.7"],
    xclientFrom: ["10.0.0.1"],
    mx: { greetDelayMs: 6_000 },
    msgauth: {
      authservId: "Example.org",
      spf: true,
      dkim: true,
      dmarc: "none",
      quarantine: "header",
      onTemporaryError: "defer",
      trustedForwarders: ["192.0.2.0/24", "2001:db8::1", "lists.xn--bcher-kva.example"],
      trustedSealers: ["a.example"],
      arc: "seal",
    },
    submission: { senders: "any", rate: { count: 500, perMs: 3_600_000 }, bareLf: "repair" },
    auth: {
      dovecot: { kind: "unix", path: "/etc/posthorn/run/auth-client" },
      mechanisms: ["LOGIN", "SCRAM-SHA-256-PLUS", "PLAIN"],
    },
    routes: [
      { domain: "intern.example", via: { scheme: "lmtp", host: "127.0.0.1", port: 24, tls: "required" } },
      { domain: "*.branch.example", via: { scheme: "smtps", host: "2001:db8::2", port: 465, tls: "required" } },
      { domain: "a.example", via: { ...via, scheme: "lmtp", socketPath: "/etc/posthorn/run/lmtp.sock" } },
      {
        domain: "d.example",
        via: { scheme: "smtp", host: "::1", port: 25, tls: "off", source: { v6: "::ffff" }, isToldClient: true },
      },
      {
        domain: "e.example",
        via: { scheme: "https", url: "https://app.example/mail", secret: "the-old-secret-of-ours" },
      },
      {
        domain: "*",
        via: {
          scheme: "smtp",
          host: "smarthost.example",
          port: 587,
          username: "u",
          password: "hunter2",
          tls: "required",
        },
      },
    ],
    queue: { retryMs: [90_000, 86_400_000], warnAfterMs: 7_200_000, expireAfterMs: 259_200_000 },
    delivery: {
      concurrency: 10,
      perDestination: 2,
      tls: "required",
      dane: false,
      mtaSts: false,
      ipv6: "off",
      source: { v4: "192.0.2.7", v6: "2001:db8::7" },
      connectionMessages: 20,
      connectionIdleMs: 60_000,
    },
    destinations: [
      { name: "google", concurrency: 3, rate: { count: 100, perMs: 60_000 } },
      { name: "*", warmUp: { startMs: Date.UTC(2026, 11, 1), perDay: 50 } },
    ],
    limits: {
      messageOctets: 524_288,
      headerOctets: 65_536,
      headerFields: 300,
      recipients: 100,
      connections: 20,
      connectionsPerIp: 5,
      freeSpace: { percent: 2.5 },
    },
    dnsServers: [{ host: "127.0.0.1", port: 5353 }, { host: "::1", port: 53 }, { host: "192.0.2.53", port: 53 }],
    isDnsValidating: true,
    log: { level: "debug", format: "json" },
    admin: { socket: "/run/posthorn/admin.sock" },
    quickStart: "alice@xn--bcher-kva.example",
  });
});

Deno.test("A route with a user name needs TLS unless the file says otherwise", async () => {
  const config = await load(
    `${SHORTEST}routes:
  - { domain: a.example, via: "smtp://x.example", username: u, password: p }
  - { domain: b.example, via: "smtp://x.example", username: u, password: p, tls: opportunistic }
  - { domain: c.example, via: "smtp://x.example" }
`,
  );
  assertEquals(config.routes.map(({ via }) => typeof via === "object" && "tls" in via ? via.tls : via), [
    "required",
    "opportunistic",
    "opportunistic",
  ]);
});

Deno.test("Environment variables are taken into values of every type, and $${ stands for ${", async () => {
  const config = await load(
    'hostname: mail.${DOMAIN}\ndomains:\n  example.org: { catch_all: "${USER}@${DOMAIN}" }\nlimits: { recipients: "${COUNT}" }\n' +
      'routes: [{ domain: "*", via: "smtp://x.example", username: "$${USER}", password: "a$b$$c" }]\n',
    {},
    { DOMAIN: "example.org", USER: "alice", COUNT: "77" },
  );
  assertEquals(config.hostname, "mail.example.org");
  assertEquals(config.domains.get("example.org")?.catchAll, "alice@example.org");
  assertEquals(config.limits.recipients, 77);
  const via = config.routes[0]?.via;
  assert(typeof via === "object" && "tls" in via);
  assertEquals([via.username, via.password], ["${USER}", "a$b$$c"]);
});

Deno.test("The value of a variable is not searched for variables", async () => {
  const config = await load("hostname: mail.example.org\ndata: ${A}\ndomains: { example.org: {} }\n", {}, {
    A: "/x/${B}",
  });
  assertEquals(config.data, "/x/${B}");
});

Deno.test("YAML anchors can be used, also around themselves", async () => {
  const config = await load(`${SHORTEST}relay_from: &nets [192.0.2.0/24]\n`);
  assertEquals(config.relayFrom, ["192.0.2.0/24"]);
  const shared = await load(
    "hostname: mail.example.org\ndomains:\n  a.example: &keys { dkim: [s1] }\n  b.example: *keys\n",
  );
  assertEquals(shared.domains.get("b.example")?.dkim, ["s1"]);
  assertStringIncludes(await problemsOf(load("hostname: &x [*x]\ndomains: { example.org: {} }\n")), "found a list");
});

Deno.test("A configuration file that is not there is a problem of its first line", async () => {
  assertEquals(await problemsOf(loadConfig(FILE, ioOf({}))), `${FILE}:1:1: cannot read the file: no such file`);
});

Deno.test("No error shows a secret from a file, the environment or the line itself", async () => {
  const route = (fields: string): string =>
    `${SHORTEST}routes: [{ domain: "*", via: "smtp://x.example", ${fields} }]\n`;
  const texts = [
    route('username: u, password: ["hunter2"]'),
    route("username: u, password: {hunter: hunter2"),
    route('username: u, password: "hunter2'),
    route("username: u, password: 'hunter2"),
    route("username: u, password: @hunter2"),
    route('username: u, password: "x" hunter2'),
    route("username: u, password: *hunter2"),
    route("username: u, password: !hunter2 x"),
    route('username: u, password: "\\hunter2"'),
    route('username: u, password: "${hunter2 "'),
    `${SHORTEST}data: !file secret\nuser: !file secret\nrelay_from: [!file secret]\nqueue: { retry: [!file secret] }\n`,
    `${SHORTEST}user: "\${SECRET}"\nrelay_from: ["\${SECRET}"]\nlog: { level: "\${SECRET}" }\n`,
  ];
  for (const text of texts) {
    const message = await problemsOf(load(text, { "/etc/posthorn/secret": "hunter2 x" }, { SECRET: "hunter2 x" }));
    assertFalse(message.includes("hunter2"), message);
  }
});

Deno.test("Tokens are judged with keys from a URL or a file, or by asking, and http is for this machine only", async () => {
  const read = async (text: string): Promise<unknown> =>
    (await load(`${SHORTEST}auth: { oauth: { ${text} } }\n`, {
      "/etc/posthorn/secret": "hunter2\n",
    })).auth.oauth;
  const rules = { issuer: "https://login.example.org/realm", audience: "mail", claim: "email", scopes: [] };
  const start = `issuer: "${rules.issuer}", audience: mail`;
  const url = "https://login.example.org/jwks.json?tenant=1";
  assertEquals(await read(`${start}, jwks: "${url}"`), { rules, service: { kind: "jwks-url", url } });
  assertEquals(await read(`${start}, jwks: keys.json, claim: sub`), {
    rules: { ...rules, claim: "sub" },
    service: { kind: "jwks-file", path: "/etc/posthorn/keys.json" },
  });
  for (const local of ["http://127.0.0.1:8080/i", "http://[::1]/i", "http://localhost/i"]) {
    assertEquals(await read(`issuer: "http://localhost:8080", introspection: "${local}", scope: "mail.send a"`), {
      rules: { issuer: "http://localhost:8080", audience: undefined, claim: "email", scopes: ["mail.send", "a"] },
      service: { kind: "introspection", url: local, client: undefined },
    });
  }
  assertEquals(
    await read(`${start}, introspection: "https://l.example/i", client_id: posthorn, client_secret: !file secret`),
    {
      rules,
      service: {
        kind: "introspection",
        url: "https://l.example/i",
        client: { id: "posthorn", secret: "hunter2" },
      },
    },
  );
});

Deno.test("config.example.yaml has no problem and names every key of the schema", async () => {
  const file = resolve(import.meta.dirname ?? "", "../../../config.example.yaml");
  const text = await Deno.readTextFile(file);
  const config = await loadConfig(file, { readText: (path) => Deno.readTextFile(path), env: () => undefined });
  assertEquals(config.listeners.map(({ bind }) => bind.kind === "tcp" ? `${bind.host}:${bind.port}` : bind.path), [
    "127.0.0.1:2525",
    "127.0.0.1:2587",
    "127.0.0.1:2465",
    "127.0.0.1:2400",
  ]);
  assertEquals(config.quickStart, "alice@example.org");
  for (const path of CONFIG_KEYS) {
    const key = path.slice(path.lastIndexOf(".") + 1);
    const isNamed = new RegExp(`^(# )? *(- )?(# )?(.*[{,] )?${key}:( |$)`, "m").test(text);
    assert(isNamed, `config.example.yaml does not name "${path}"`);
  }
});

Deno.test("A Dovecot is named by its socket, or by host and port", async () => {
  const dovecot = async (text: string): Promise<unknown> =>
    (await load(`hostname: mail.example.org\ndomains: { example.org: {} }\nauth: { dovecot: "${text}" }\n`)).auth
      .dovecot;
  assertEquals(await dovecot("unix:/run/dovecot/auth-client"), { kind: "unix", path: "/run/dovecot/auth-client" });
  // What a Dovecot offers may be tokens, which then need no section of ours.
  await load(`${SHORTEST}auth: { dovecot: "unix:/run/dovecot/auth-client", mechanisms: [XOAUTH2] }\n`);
  assertEquals(await dovecot("127.0.0.1:12345"), { kind: "tcp", host: "127.0.0.1", port: 12345 });
  assertEquals(await dovecot("[::1]:12345"), { kind: "tcp", host: "::1", port: 12345 });
  assertEquals(await dovecot("Dovecot:12345"), { kind: "tcp", host: "dovecot", port: 12345 });
});

Deno.test("The commented keys of config.example.yaml are right when they are used", async () => {
  const file = resolve(import.meta.dirname ?? "", "../../../config.example.yaml");
  const text = await Deno.readTextFile(file);
  // A commented line that holds a key, a list item or ends a list is YAML; the rest is prose.
  const used = text.replace(/^( *)# ( *(?:- \{|- [\w"]|[a-z_]+:(?: |$)|[\w@.]+: [[{]).*)$/gm, "$1$2")
    .replace(/^(service|tls|via): (?=mx \(|starttls \(|smtp:|required \().*$/gm, "");
  const config = await load(used, {
    "/etc/posthorn/secret": "hunter2",
    "/etc/posthorn/hook.secret": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
    "/etc/posthorn/lists/announce.txt": "alice@example.org\n",
  });
  const shipped = await load(text);
  assertEquals(config.routes.length, 5);
  assertEquals([...config.aliases.keys()], ["sales@example.org", "announce@example.org"]);
  assertEquals(config.includeFiles.length, 1);
  assertEquals(config.domains.size, 2);
  assertEquals(config.listeners.length, 9);
  assertEquals(config.listeners[6]?.clientCertificates, "require");
  assertEquals(config.listeners[7]?.service, "web");
  assertEquals(config.domains.get("example.org")?.mtaSts, "testing");
  assertEquals(config.clientCa?.endsWith("/clients.pem"), true);
  for (const group of ["queue", "delivery", "limits", "log", "admin"] as const) {
    assertEquals<unknown>(config[group], shipped[group]);
  }
});

Deno.test("A problem is told in one line, also where an escape sequence that is none goes over a line end", async () => {
  const error = await load('"\\U|\n').then(() => undefined, (error: unknown) => error);
  assert(error instanceof ConfigError);
  assertEquals(error.problems.map(({ message }) => message.includes("\n")), [false, false]);
});

Deno.test("Where SPF or DKIM is off, so is DMARC", async () => {
  const dmarc = async (keys: string): Promise<unknown> =>
    (await load(`${SHORTEST}msgauth: { ${keys} }\n`)).msgauth.dmarc;
  assertEquals(await dmarc("spf: false"), "off");
  assertEquals(await dmarc("dkim: false"), "off");
  assertEquals(await dmarc("spf: false, dmarc: off"), "off");
  assertEquals(await dmarc("dmarc: quarantine"), "quarantine");
});

Deno.test("admin.bind: off does without the control socket", async () => {
  assertEquals((await load(`${SHORTEST}admin: { bind: off }\n`)).admin, {});
});

Deno.test("A route may go to MX hosts, and have a fallback with its own login", async () => {
  const config = await load(`${SHORTEST}routes:
  - domain: "*"
    via: mx
    fallback: { via: "smtp://smarthost.example:587", username: u, password: p, after: 1, classes: [rate] }
  - { domain: b.example, via: "smtp://x.example", fallback: { via: "smtps://y.example" } }
`);
  const login = { username: "u", password: "p", tls: "required" };
  assertEquals<unknown>(config.routes[0], {
    domain: "*",
    via: "mx",
    fallback: { via: { scheme: "smtp", host: "smarthost.example", port: 587, ...login }, after: 1, classes: ["rate"] },
  });
  assertEquals(config.routes[1]?.fallback?.after, 3);
  assertEquals(config.routes[1]?.fallback?.classes, ["block", "reputation"]);
});

Deno.test("Mail for accounts goes to Maildirs, an LMTP server or an application, which needs a secret", async () => {
  const mailboxes = async (text: string): Promise<unknown> => (await load(`${SHORTEST}mailboxes: ${text}\n`)).mailboxes;
  const usual = (await load(SHORTEST)).mailboxes;
  assertEquals(await mailboxes("{ via: maildir }"), { ...usual, via: "maildir" });
  const server = { scheme: "lmtp", host: "dovecot.example", port: 24, tls: "opportunistic" };
  assertEquals(await mailboxes('{ via: "lmtp://dovecot.example" }'), { ...usual, via: server });
  const secret = "0123456789abcdef";
  for (
    const [url, scheme] of [
      ["https://app.example:8443/mail", "https"],
      ["http://127.0.0.1:8080/mail", "http"],
      ["http://[::1]/", "http"],
      ["http://10.1.2.3/mail", "http"],
      ["http://[fd00::1]/mail", "http"],
      ["http://localhost/mail", "http"],
    ] as const
  ) {
    const via = { scheme, url, secret };
    assertEquals(await mailboxes(`{ via: "${url}", secret: "${secret}" }`), { ...usual, via, secret }, url);
  }
  for (
    const wrong of [
      "smtp://dovecot.example",
      "http://app.example/mail",
      "http://192.0.2.1/mail",
      "http://172.32.0.1/mail",
      "https://app.example/mail?token=hunter2",
      "https://app.example/mail#top",
      "https://user:hunter2@app.example/mail",
      "ftp://app.example/mail",
      "https://",
    ]
  ) {
    const problem = await problemsOf(mailboxes(`{ via: "${wrong}", secret: "${secret}" }`).then(() => load("")));
    assertStringIncludes(problem, "mailboxes.via: expected ", wrong);
  }
});

Deno.test("A file of members may have comments, empty lines, CRLF, a byte order mark and addresses twice", async () => {
  const members = "\ufeff# members\r\n\r\n  alice@example.org  # chair\r\nBob@ELSEWHERE.example\r\n" +
    "a#b@elsewhere.example\n\tBob@elsewhere.example\n#x@elsewhere.example";
  const aliases = "aliases: { list@example.org: { members: alice@example.org, include: members } }\n";
  const config = await load(SHORTEST + aliases, { "/etc/posthorn/members": members });
  assertEquals(config.aliases.get("list@example.org")?.targets, [
    "alice@example.org",
    "Bob@elsewhere.example",
    "a#b@elsewhere.example",
  ]);
});

Deno.test("What is wrong in a file of members is told once, at its place, after what is wrong in the configuration", async () => {
  const aliases = 'aliases:\n  a@example.org: { include: [members, "${LIST}"] }\n' +
    '  b@example.org: { include: members }\n  c@example.org: { include: "${LIST}" }\n';
  const members = "alice@example.org\n\n  bob\nc@x, d@x\n\ufffd@example.org\nDora <dora@example.org>\n";
  const files = { "/etc/posthorn/members": members, "/lists/x": "@\n".repeat(25) };
  assertEquals(
    await problemsOf(load(`${SHORTEST}${aliases}smtp: 1\n`, files, { LIST: "/lists/x" })),
    [
      `${FILE}:8:1: unknown key "smtp": expected one of ${CONFIG_KEYS.filter((key) => !key.includes(".")).join(", ")}`,
      '/etc/posthorn/members:3:3: expected a mailbox such as "alice@example.org", found "bob"',
      '/etc/posthorn/members:4:1: expected a mailbox such as "alice@example.org", found "c@x, d@x"',
      '/etc/posthorn/members:5:1: expected a mailbox such as "alice@example.org", found "\ufffd@example.org"',
      '/etc/posthorn/members:6:1: expected a mailbox such as "alice@example.org", found "Dora <dora@example.org>"',
      ...Array.from(
        { length: 20 },
        (_, i) => `/lists/x:${i + 1}:1: expected a mailbox such as "alice@example.org", found "@"`,
      ),
      "/lists/x:20:1: and 5 more lines that are no mailboxes",
    ].join("\n"),
  );
});

Deno.test("Thousands of domains cost little beside reading their YAML: none is compared with all others", async () => {
  const text = `hostname: mail.example.org\ndomains:\n  example.org: {}\n` +
    Array.from({ length: 8_000 }, (_, index) => `  d${index}.example: { alias_of: example.org }\n`).join("");
  const timed = async (action: () => unknown): Promise<number> => {
    const startMs = performance.now();
    await action();
    return performance.now() - startMs;
  };
  const yamlMs = await timed(() => parseDocument(text, { uniqueKeys: false }));
  const allMs = await timed(async () => assertEquals((await load(text)).domains.size, 8_001));
  assert(allMs < 4 * yamlMs, `${allMs} ms, of which the YAML is ${yamlMs} ms`);
});
