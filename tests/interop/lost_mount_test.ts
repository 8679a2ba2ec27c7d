/** A mailbox on a disk of its own, which is lost while the server runs, and comes back. */

import { assert, assertEquals, assertFalse } from "@std/assert";
import { MAIL_CLIENTS } from "../support/interop/mail_clients.ts";
import { latin1Octets } from "../support/interop/maildir.ts";
import { Namespace } from "../support/interop/namespace.ts";
import { peerTest } from "../support/interop/peers.ts";
import { TemporaryFolder } from "../support/interop/temporary_folder.ts";
import { PosthornProcess } from "../support/posthorn_process.ts";

const ALICE = { address: "alice@example.org", password: "correct horse battery staple" };
const BOB = { address: "bob@example.org", password: "correct horse battery staple" };
const NEEDS = ["root", "unshare", "nsenter", "ip", "swaks"] as const;

/** A server, and the disk of alice. */
class Lab implements AsyncDisposable {
  private constructor(
    readonly namespace: Namespace,
    readonly disk: TemporaryFolder,
    readonly posthorn: PosthornProcess,
  ) {}

  static async make(): Promise<Lab> {
    const namespace = await Namespace.create();
    const disk = await TemporaryFolder.create();
    const posthorn = await PosthornProcess.start({
      prefix: namespace.prefix,
      seenAs: (path) => namespace.seen(path),
      listeners: [{ service: "mx" }],
      accounts: [ALICE, BOB],
      config: { queue: { retry: ["1s"], warn_after: "1h", expire_after: "2h" } },
      isStopped: true,
    });
    const lab = new Lab(namespace, disk, posthorn);
    await Deno.mkdir(lab.mountPoint, { recursive: true });
    return lab;
  }

  get mountPoint(): string {
    return `${this.posthorn.dataFolder}/mail/example.org/alice`;
  }

  async mount(): Promise<void> {
    await this.namespace.run(["mount", "--bind", this.disk.path, this.mountPoint]);
  }

  async send(to: string, subject: string): Promise<void> {
    const [swaks] = MAIL_CLIENTS;
    assert(swaks);
    const { code, stdout } = await swaks.send({
      prefix: this.namespace.prefix,
      host: "127.0.0.1",
      port: this.posthorn.port("mx"),
      security: "plain",
      caFile: "",
      from: "x@elsewhere.example",
      to,
      content: latin1Octets(`Subject: ${subject}\r\n\r\nbody\r\n`),
      folder: this.posthorn.folder,
    });
    assertEquals(code, 0, stdout);
  }

  /** Names in the folder that the disk is mounted on, when it is not. */
  async belowMountPoint(): Promise<string[]> {
    return await Array.fromAsync(Deno.readDir(this.posthorn.seen(this.mountPoint)), ({ name }) => name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.posthorn[Symbol.asyncDispose]();
    await this.namespace[Symbol.asyncDispose]();
    await this.disk[Symbol.asyncDispose]();
  }
}

peerTest(
  "A mailbox on a lost mount waits alone, nothing lands below it, and its mail comes when it is mounted again",
  NEEDS,
  async () => {
    await using lab = await Lab.make();
    const { namespace, posthorn } = lab;
    await lab.mount();
    await posthorn.restart();
    const [alice, bob] = [posthorn.maildir(ALICE.address), posthorn.maildir(BOB.address)];
    for (const to of [ALICE.address, BOB.address]) await lab.send(to, "first");
    await alice.waitFor(1, { detail: () => posthorn.log });
    await bob.waitFor(1, { detail: () => posthorn.log });

    await namespace.run(["umount", "--lazy", lab.mountPoint]);
    for (const isRestarted of [false, true]) {
      if (isRestarted) {
        await posthorn.kill("SIGKILL");
        await posthorn.restart();
      }
      await lab.send(ALICE.address, isRestarted ? "third" : "second");
      await lab.send(BOB.address, "goes on");
      await posthorn.waitForLog(
        /Mailbox "alice@example\.org": folder ".*\/alice(\/tmp)?" was there before and is gone .* `posthorn user mailbox alice@example\.org`/,
      );
      await posthorn.waitForLog(/delayed for alice@example\.org .* status 4\.2\.1/);
      await bob.waitFor(isRestarted ? 3 : 2, { detail: () => posthorn.log });
      assertEquals(await lab.belowMountPoint(), []);
    }

    await lab.mount();
    await alice.waitFor(3, { detail: () => posthorn.log });
    await posthorn.waitForLog(/Mailbox "alice@example\.org" can be written again/);
    await posthorn.waitForEmptyQueue();
  },
);

peerTest(
  "A mailbox removed on purpose is made by `posthorn user mailbox`, and an account removed and added begins anew",
  NEEDS,
  async () => {
    await using lab = await Lab.make();
    const { posthorn } = lab;
    await posthorn.restart();
    const [alice, bob] = [posthorn.maildir(ALICE.address), posthorn.maildir(BOB.address)];
    for (const to of [ALICE.address, BOB.address]) await lab.send(to, "first");
    await alice.waitFor(1, { detail: () => posthorn.log });
    await bob.waitFor(1, { detail: () => posthorn.log });

    await Deno.remove(alice.path, { recursive: true });
    await lab.send(ALICE.address, "second");
    await posthorn.waitForLog(/delayed for alice@example\.org .* status 4\.2\.1/);
    const stranger = await posthorn.run(["user", "mailbox", "nobody@example.org"]);
    assertEquals(stranger.code, 65, stranger.stderr);
    const made = await posthorn.run(["user", "mailbox", ALICE.address]);
    assertEquals(made.code, 0, made.stderr);
    assert(made.stdout.startsWith("alice@example.org has its mailbox in "), made.stdout);
    await alice.waitFor(1, { detail: () => posthorn.log });

    assertEquals((await posthorn.run(["user", "remove", BOB.address])).code, 0);
    const registry = await Deno.readTextFile(posthorn.seen(`${posthorn.dataFolder}/mailboxes`));
    assertFalse(registry.includes(BOB.address), registry);
    await Deno.remove(bob.path, { recursive: true });
    await posthorn.addAccount(BOB.address, BOB.password);
    await lab.send(BOB.address, "a new life");
    await bob.waitFor(1, { detail: () => posthorn.log });
  },
);
