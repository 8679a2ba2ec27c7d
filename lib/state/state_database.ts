/**
 * `data/state.db`: counters and data of reports, in the SQLite of the runtime. Losing it loses no mail, so nothing here
 * stops the server: what is wrong with the file is a log line, and work goes on without it.
 *
 * The calls of `node:sqlite` hold up the event loop. Callers gather what they write, and write it in one transaction. The
 * write-ahead log with `synchronous = NORMAL` waits for no fsync then, but at a checkpoint, once in some megabytes.
 */

import type { DatabaseSync } from "node:sqlite";
import type { Logger } from "../log/logger.ts";
import type { Clock } from "../system/clock.ts";

/** What works in a transaction gets: prepared statements and their execution. */
export type Sql = Pick<DatabaseSync, "exec" | "prepare">;

/** How the database is opened. */
export interface StateDatabaseOptions {
  /** The file; made where it is missing, in a folder that is there. */
  readonly path: string;
  /** Entry n takes the tables from version n to n + 1. */
  readonly migrations: readonly string[];
  /** Says what is wrong with the file. */
  readonly logger: Logger;
  /** For the rest after a failure. */
  readonly clock: Clock;
  /** Most octets of the file; default 512 MiB. */
  readonly maxOctets?: number;
}

type Opener = (path: string) => DatabaseSync;

/** Nothing is tried for so long after a failure. */
const REST_MS = 60_000;
/** Another process (a command) may be writing; the event loop waits meanwhile. */
const BUSY_MS = 250;
const PAGE_OCTETS = 4096;
const CORRUPT = 11;
const NOT_A_DATABASE = 26;

/** The database, open or not. */
export class StateDatabase implements Disposable {
  readonly #options: StateDatabaseOptions;
  readonly #open: Opener;
  #db: DatabaseSync | undefined;
  #restUntilMs = -Infinity;
  #wasToldOf = "";

  private constructor(options: StateDatabaseOptions, open: Opener) {
    this.#options = options;
    this.#open = open;
  }

  /** Loads SQLite and opens the file. Never rejects: a file that cannot be opened now is tried again with the work. */
  static async open(options: StateDatabaseOptions): Promise<StateDatabase> {
    const { DatabaseSync } = await import("node:sqlite");
    const database = new StateDatabase(options, (path) => new DatabaseSync(path));
    database.transact(() => true);
    return database;
  }

  /**
   * Carries out work in one transaction: all of it or nothing.
   *
   * @returns What `work` gave; undefined where the database cannot be used now, and nothing was done. The log has said why.
   * @throws What `work` threw that did not come from SQLite; nothing was done then.
   */
  transact<T>(work: (sql: Sql) => T): T | undefined {
    return this.#tryTo(work, "BEGIN IMMEDIATE");
  }

  /**
   * Reads in one transaction, which sees one state of the tables throughout and keeps nobody from writing, however long it
   * takes. As {@linkcode transact} otherwise.
   */
  read<T>(work: (sql: Sql) => T): T | undefined {
    return this.#tryTo(work, "BEGIN");
  }

  #tryTo<T>(work: (sql: Sql) => T, begin: string): T | undefined {
    if (this.#options.clock.monotonic() < this.#restUntilMs) return undefined;
    try {
      return this.#transact(work, begin);
    } catch (error) {
      if (sqliteCode(error) === undefined) throw error;
      this.#giveUp(error);
      return undefined;
    }
  }

  /** Closes the file. */
  [Symbol.dispose](): void {
    this.#close();
    this.#restUntilMs = Infinity;
  }

  #transact<T>(work: (sql: Sql) => T, begin: string): T {
    const db = this.#db ??= this.#prepare();
    db.exec(begin);
    try {
      const result = work(db);
      db.exec("COMMIT");
      this.#wasToldOf = "";
      return result;
    } catch (error) {
      // Where SQLite itself has rolled back there is nothing left to do.
      try {
        db.exec("ROLLBACK");
      } catch (rollback) {
        if (sqliteCode(rollback) === undefined) throw rollback;
      }
      throw error;
    }
  }

  #prepare(): DatabaseSync {
    const { path, migrations, maxOctets = 512 * 2 ** 20 } = this.#options;
    makePrivate(path);
    const db = this.#open(path);
    try {
      // What the file itself brings along (views, triggers) is not run with functions of ours: it may have been changed.
      db.exec(`PRAGMA busy_timeout = ${BUSY_MS}; PRAGMA trusted_schema = OFF; PRAGMA foreign_keys = ON`);
      db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = 1048576");
      db.exec(`PRAGMA max_page_count = ${Math.ceil(maxOctets / PAGE_OCTETS)}`);
      migrate(db, migrations);
      return db;
    } catch (error) {
      db.close();
      throw error;
    }
  }

  #giveUp(error: unknown): void {
    const { path, logger, clock } = this.#options;
    const reason = error instanceof Error ? error.message : String(error);
    this.#close();
    this.#restUntilMs = clock.monotonic() + REST_MS;
    if (isCorrupt(error)) {
      const aside = setAside(path, clock.now());
      if (aside !== undefined) {
        this.#restUntilMs = -Infinity;
        return logger.error(
          "{path} is damaged ({reason}) and is kept as {aside}; a new one begins. Mail is not concerned",
          {
            path,
            reason,
            aside,
          },
        );
      }
    }
    if (this.#wasToldOf === reason) return;
    this.#wasToldOf = reason;
    logger.error("Cannot use {path}, going on without counters and reports, the next try is in a minute: {reason}", {
      path,
      reason,
    });
  }

  #close(): void {
    try {
      this.#db?.close();
    } catch {
      // It is given up anyway.
    }
    this.#db = undefined;
  }
}

function migrate(db: DatabaseSync, migrations: readonly string[]): void {
  const found = Number(db.prepare("PRAGMA user_version").get()?.["user_version"] ?? 0);
  if (found > migrations.length) {
    throw new UnusableError(`it was written by a later version of posthorn (schema ${found})`);
  }
  for (let version = found; version < migrations.length; version++) {
    db.exec(`BEGIN IMMEDIATE; ${migrations[version]}; PRAGMA user_version = ${version + 1}; COMMIT`);
  }
}

/** A file that SQLite could use, and we cannot. */
class UnusableError extends Error {
  readonly errcode = -1;
}

/** Of an error of SQLite or of the file: its primary code, -1 where it has none; undefined for every other error. */
function sqliteCode(error: unknown): number | undefined {
  if (!(error instanceof Error)) return undefined;
  if ("errcode" in error && typeof error.errcode === "number") return error.errcode < 0 ? -1 : error.errcode & 0xff;
  if ("code" in error && String(error.code).startsWith("ERR_SQLITE")) return -1;
  return error instanceof Deno.errors.NotFound || error instanceof Deno.errors.PermissionDenied ||
      "code" in error && /^E[A-Z]+$/.test(String(error.code))
    ? -1
    : undefined;
}

function isCorrupt(error: unknown): boolean {
  const code = sqliteCode(error);
  // Not every error of Deno has the code; the texts are those of sqlite3_errstr.
  return code === CORRUPT || code === NOT_A_DATABASE ||
    code === -1 && error instanceof Error &&
      /^(?:file is not a database|database disk image is malformed)$/.test(error.message);
}

/** It names addresses and domains: only our user reads it. SQLite gives the files beside it the same mode. */
function makePrivate(path: string): void {
  try {
    Deno.openSync(path, { write: true, createNew: true, mode: 0o600 }).close();
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  }
}

/** Moves a damaged file out of the way, never over another. */
function setAside(path: string, nowMs: number): string | undefined {
  const aside = `${path}.broken-${new Date(nowMs).toISOString().replaceAll(/[-:]|\.\d+/g, "")}`;
  try {
    Deno.renameSync(path, aside);
  } catch {
    return undefined;
  }
  for (const suffix of ["-wal", "-shm"]) {
    try {
      Deno.removeSync(path + suffix);
    } catch {
      // It was not there.
    }
  }
  return aside;
}
