/** A private Dovecot that takes mail by LMTP and keeps it in Maildirs of its own. Needs root. */

import { mustRun } from "./command.ts";
import { Dovecot } from "./dovecot.ts";
import { freePort } from "./free_port.ts";
import { Maildir } from "./maildir.ts";

/** What it knows. */
export interface DovecotLmtpOptions {
  /** Exists; other users may enter it. */
  readonly folder: string;
  /** Addresses, each with the octets that it may hold; undefined: as many as it likes. */
  readonly users: Readonly<Record<string, number | undefined>>;
  /** Settings of the test. */
  readonly settings?: string;
}

/** The running server. */
export interface DovecotLmtp extends AsyncDisposable {
  /** Of 127.0.0.1. */
  readonly port: number;
  /** What it logged. */
  readonly log: string;
  /** Takes the place of the users at the start. A limit once set needs another one: the Maildir remembers it. */
  setUsers(users: DovecotLmtpOptions["users"]): Promise<void>;
  /** The Maildir of a user, or one of its folders: `alice@example.org`, `.lists`. */
  maildir(user: string, folder?: string): Maildir;
}

/** Starts the server, and waits until it listens. */
export async function startDovecotLmtp({ folder, users, settings = "" }: DovecotLmtpOptions): Promise<DovecotLmtp> {
  const port = freePort();
  const [uid, gid] = [(await mustRun(["id", "-u", "nobody"])).trim(), (await mustRun(["id", "-g", "nobody"])).trim()];
  const setUsers = async (users: DovecotLmtpOptions["users"]): Promise<void> => {
    const lines = Object.entries(users).map(([user, octets]) =>
      `${user}:::::${folder}/homes/${user}::${octets === undefined ? "" : `userdb_quota_rule=*:bytes=${octets}`}`
    );
    await Deno.writeTextFile(`${folder}/users`, lines.join("\n") + "\n");
  };
  await setUsers(users);
  await Deno.mkdir(`${folder}/homes`);
  await mustRun(["chown", `${uid}:${gid}`, `${folder}/homes`]);
  const dovecot = await Dovecot.run(
    folder,
    port,
    `protocols = lmtp
hostname = dovecot.example.org
mail_location = maildir:~/Maildir
mail_save_crlf = yes
mail_plugins = quota
recipient_delimiter = +
lmtp_save_to_detail_mailbox = yes
lda_mailbox_autocreate = yes
plugin {
  quota = maildir:User quota
}
passdb {
  driver = static
  args = nopassword=y
}
userdb {
  driver = passwd-file
  args = username_format=%u ${folder}/users
  override_fields = uid=${uid} gid=${gid}
}
service lmtp {
  inet_listener lmtp {
    port = ${port}
  }
  unix_listener lmtp {
    path = lmtp
    mode = 0666
  }
}
${settings}
`,
  );
  return {
    port,
    get log(): string {
      return dovecot.log;
    },
    setUsers,
    maildir: (user, name = "") => new Maildir(`${folder}/homes/${user}/Maildir${name === "" ? "" : `/${name}`}`),
    [Symbol.asyncDispose]: () => dovecot[Symbol.asyncDispose](),
  };
}
