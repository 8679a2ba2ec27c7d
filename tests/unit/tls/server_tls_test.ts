import { assert, assertEquals, assertInstanceOf, assertMatch, assertRejects } from "@std/assert";
import { createHash, X509Certificate } from "node:crypto";
import { type Certificate, Certificates, parseCertificate } from "../../../lib/tls/certificates.ts";
import { listenImplicit } from "../../../lib/tls/listen.ts";
import { makeSelfSigned } from "../../../lib/tls/self_signed.ts";
import { canUpgradeServer, upgradeServer } from "../../../lib/tls/server_tls.ts";
import { type TlsConn, TlsHandshakeError } from "../../../lib/tls/tls_conn.ts";

const encoder = new TextEncoder();
const FILES = { chain: "a.crt", key: "a.key" };
const one = parseCertificate(await makeSelfSigned("one.example", Date.now()), FILES);
const two = parseCertificate(await makeSelfSigned("two.example", Date.now()), FILES);
const certificates = new Certificates([one, two]);

/** An accepted connection with its client side, both plain. */
interface Pair extends Disposable {
  readonly server: Deno.TcpConn;
  readonly client: Deno.TcpConn;
}

async function connectedPair(): Promise<Pair> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const [server, client] = await Promise.all([
    listener.accept(),
    Deno.connect({ hostname: "127.0.0.1", port: listener.addr.port }),
  ]);
  const [serverSide, clientSide] = [server, client];
  return {
    server: serverSide,
    client: clientSide,
    [Symbol.dispose]: (): void => {
      for (const conn of [serverSide, clientSide]) closeQuietly(conn);
    },
  };
}

function closeQuietly(conn: { close(): void }): void {
  try {
    conn.close();
  } catch {
    // Closed by the code under test.
  }
}

/** Runs both sides of a handshake. */
async function tlsPair(hostname = "one.example"): Promise<{ server: TlsConn; client: Deno.TlsConn } & Disposable> {
  const pair = await connectedPair();
  const caCerts = [one.chain, two.chain];
  const [server, client] = await Promise.all([
    upgradeServer(pair.server, certificates, { handshakeTimeoutMs: 5000 }),
    Deno.startTls(pair.client, { hostname, caCerts }).then(async (conn) => {
      await conn.handshake();
      return conn;
    }),
  ]);
  return {
    server,
    client,
    [Symbol.dispose]: (): void => {
      server.close();
      closeQuietly(client);
    },
  };
}

function sha256Of({ chain }: Certificate): Uint8Array {
  return new Uint8Array(createHash("sha256").update(new X509Certificate(chain).raw).digest());
}

async function readText(conn: { read(into: Uint8Array): Promise<number | null> }, octets: number): Promise<string> {
  const buffer = new Uint8Array(octets);
  let at = 0;
  while (at < octets) {
    const count = await conn.read(buffer.subarray(at));
    if (count === null) break;
    at += count;
  }
  return new TextDecoder().decode(buffer.subarray(0, at));
}

async function failure(run: Promise<unknown>): Promise<TlsHandshakeError> {
  const error = await run.then(() => undefined, (error: unknown) => error);
  assertInstanceOf(error, TlsHandshakeError);
  return error;
}

function test(name: string, run: () => Promise<void>): void {
  Deno.test({ name, ignore: !canUpgradeServer, fn: run });
}

test("an accepted connection becomes a TLS connection that carries octets both ways", async () => {
  using pair = await tlsPair();
  const { server, client } = pair;
  assertEquals(server.protocol, "TLSv1.3");
  assertMatch(server.cipher, /^TLS_/);
  assertEquals(server.serverName, "one.example");
  assertEquals(server.serverEndPoint, sha256Of(one));
  await client.write(encoder.encode("EHLO client\r\n"));
  assertEquals(await readText(server, 13), "EHLO client\r\n");
  const reply = encoder.encode("250 ok\r\n");
  assertEquals(await server.write(reply), 8);
  reply.fill(0); // The caller may use its buffer again at once.
  assertEquals(await readText(client, 8), "250 ok\r\n");
});

test("the certificate shown is the one for the name that the client asks for", async () => {
  using pair = await tlsPair("two.example");
  assertEquals(pair.server.serverName, "two.example"); // startTls of the client has checked the certificate.
  assertEquals(pair.server.serverEndPoint, sha256Of(two)); // The self-signed ones are signed with SHA-256.
});

test("a read takes no more than the buffer holds and the rest comes with the next read", async () => {
  using pair = await tlsPair();
  await pair.client.write(encoder.encode("abcdef"));
  const buffer = new Uint8Array(4);
  assertEquals(await pair.server.read(buffer), 4);
  assertEquals(await readText(pair.server, 2), "ef");
});

test("megabytes pass in both directions unchanged", async () => {
  using pair = await tlsPair();
  const sent = new Uint8Array(3_000_000).map((_, i) => i * 7 + (i >> 8));
  const sendAll = async (conn: { write(octets: Uint8Array): Promise<number> }): Promise<void> => {
    for (let at = 0; at < sent.length;) at += await conn.write(sent.subarray(at, at + 50_000));
  };
  const receiveAll = async (conn: { read(into: Uint8Array): Promise<number | null> }): Promise<boolean> => {
    const received = new Uint8Array(sent.length);
    for (let at = 0; at < sent.length;) at += await conn.read(received.subarray(at)) ?? sent.length;
    return received.every((octet, i) => octet === sent[i]);
  };
  const [, up] = await Promise.all([sendAll(pair.client), receiveAll(pair.server)]);
  const [, down] = await Promise.all([sendAll(pair.server), receiveAll(pair.client)]);
  assert(up && down);
});

test("a client that sends without being read is held back instead of filling the memory", async () => {
  const pair = await connectedPair();
  using _ = pair;
  let taken = 0;
  const counted = {
    remoteAddr: pair.server.remoteAddr,
    localAddr: pair.server.localAddr,
    read: async (into: Uint8Array): Promise<number | null> => {
      const count = await pair.server.read(into);
      taken += count ?? 0;
      return count;
    },
    write: (octets: Uint8Array): Promise<number> => pair.server.write(octets),
    close: (): void => pair.server.close(),
  };
  const [server, client] = await Promise.all([
    upgradeServer(counted, certificates, { handshakeTimeoutMs: 5000 }),
    Deno.startTls(pair.client, { hostname: "one.example", caCerts: [one.chain] }),
  ]);
  const chunk = new Uint8Array(65_536);
  let sent = 0;
  const sending = (async (): Promise<void> => {
    while (sent < 64 * 1024 * 1024) sent += await client.write(chunk);
  })().catch(() => undefined);
  // The pipe is full when two looks, with turns of the event loop between them, see the same count.
  let before = -1;
  while (before !== sent || sent === 0) {
    before = sent;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert(taken < 1024 * 1024, `${taken} octets were taken`);
  server.close();
  closeQuietly(client);
  await sending;
});

test("the end of the client reads as null, and a write after close is refused", async () => {
  using pair = await tlsPair();
  pair.client.close();
  assertEquals(await pair.server.read(new Uint8Array(10)), null);
  pair.server.close();
  pair.server.close();
  await assertRejects(() => pair.server.write(encoder.encode("x")), Deno.errors.BadResource);
  await assertRejects(() => pair.server.read(new Uint8Array(1)), Deno.errors.BadResource);
});

test("close sends what was written and then a close_notify, which the client sees as a clean end", async () => {
  using pair = await tlsPair();
  const last = "221 bye\r\n".repeat(5000);
  await pair.server.write(encoder.encode(last));
  pair.server.close();
  assertEquals(await readText(pair.client, last.length), last);
  assertEquals(await pair.client.read(new Uint8Array(1)), null); // rustls makes an error of an end without close_notify.
});

test("close ends a read under way", async () => {
  using pair = await tlsPair();
  const reading = assertRejects(() => pair.server.read(new Uint8Array(1)), Deno.errors.BadResource);
  pair.server.close();
  await reading;
});

test("a client that does not speak TLS is told apart from one that leaves and one that says nothing", async () => {
  using plain = await connectedPair();
  await plain.client.write(encoder.encode("EHLO client\r\n"));
  const options = { handshakeTimeoutMs: 5000 };
  assertEquals(
    (await failure(upgradeServer(plain.server, certificates, options))).reason,
    "the client does not speak TLS here",
  );
  assertEquals(await plain.client.read(new Uint8Array(100)).catch(() => null), null);

  using gone = await connectedPair();
  gone.client.close();
  assertEquals(
    (await failure(upgradeServer(gone.server, certificates, options))).reason,
    "the client closed the connection",
  );

  using silent = await connectedPair();
  const late = await failure(upgradeServer(silent.server, certificates, { handshakeTimeoutMs: 50 }));
  assertEquals(late.reason, "not done within 0.05 s");
  assertEquals(await silent.client.read(new Uint8Array(100)).catch(() => null), null);

  using stopping = await connectedPair();
  const signal = AbortSignal.abort();
  assertEquals(
    (await failure(upgradeServer(stopping.server, certificates, { ...options, signal }))).reason,
    "the server is stopping",
  );
});

test("a client that does not trust the certificate ends the connection with an error, not the process", async () => {
  using pair = await connectedPair();
  const client = await Deno.startTls(pair.client, { hostname: "one.example" });
  const refused = assertRejects(() => client.handshake());
  // In TLS 1.3 the server is done before the client judges: the alert comes with the first read.
  await upgradeServer(pair.server, certificates, { handshakeTimeoutMs: 5000 })
    .then((conn) => conn.read(new Uint8Array(10)).finally(() => conn.close()))
    .then(() => undefined, (error: unknown) => assertInstanceOf(error, Error));
  await refused;
  closeQuietly(client);
});

for (const mode of canUpgradeServer ? ["upgrade", "native"] as const : ["native"] as const) {
  Deno.test(`implicit TLS in ${mode} mode carries octets and survives clients that do not speak TLS`, async () => {
    const listener = listenImplicit({
      hostname: "127.0.0.1",
      port: 0,
      certificates: () => certificates,
      handshakeTimeoutMs: 300,
      mode,
    });
    assertEquals(listener.mode, mode);
    const connect = (): Promise<Deno.TcpConn> => Deno.connect({ hostname: "127.0.0.1", port: listener.addr.port });

    const stranger = await connect();
    await stranger.write(encoder.encode("EHLO client\r\n"));
    await failure((await listener.accept()).handshake());
    closeQuietly(stranger);

    const silent = await connect();
    assertEquals((await failure((await listener.accept()).handshake())).reason, "not done within 0.3 s");
    closeQuietly(silent);

    const accepted = listener.accept();
    const client = await Deno.startTls(await connect(), { hostname: "one.example", caCerts: [one.chain] });
    const [server] = await Promise.all([(await accepted).handshake(), client.handshake()]);
    assertEquals(server.serverEndPoint, sha256Of(one));
    assertMatch(server.protocol, mode === "upgrade" ? /^TLSv1\.3$/ : /^TLS$/);
    await server.write(encoder.encode("220 hello\r\n"));
    assertEquals(await readText(client, 11), "220 hello\r\n");
    server.close();
    client.close();
    listener.close();
  });
}
