/**
 * A turn of the event loop in which all sockets were looked at. The runtime offers none: a timer takes a millisecond or
 * two, and what is quicker (microtasks, `setImmediate`) runs before anybody has asked the kernel what has arrived. Here
 * an octet goes round over a pair of connected sockets; when it arrives, so has what was there for others before it.
 */

/** Waits for turns. */
export interface SocketTurn extends Disposable {
  /** Settles after sockets were looked at anew, some 20 microseconds later. Who waits at the same time shares a turn. */
  next(): Promise<void>;
}

/**
 * Makes a pair of sockets on 127.0.0.1, which is all that it keeps.
 *
 * @throws {Deno.errors} Where there is no such address, or no descriptor left.
 */
export async function openSocketTurn(): Promise<SocketTurn> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const near = await Deno.connect({ hostname: "127.0.0.1", port: listener.addr.port });
  try {
    const far = await acceptFrom(listener, near.localAddr.port);
    near.setNoDelay(true);
    return new SocketPair(near, far);
  } catch (error) {
    near.close();
    throw error;
  }
}

/** Any local program may connect to a loopback port: only our own end is taken. */
async function acceptFrom(listener: Deno.TcpListener, port: number): Promise<Deno.TcpConn> {
  for (;;) {
    const conn = await listener.accept();
    if (conn.remoteAddr.port === port) return conn;
    conn.close();
  }
}

class SocketPair implements SocketTurn {
  readonly #near: Deno.TcpConn;
  readonly #far: Deno.TcpConn;
  readonly #octet = new Uint8Array(1);
  #waiting: (() => void)[] = [];
  #isRunning = false;

  constructor(near: Deno.TcpConn, far: Deno.TcpConn) {
    this.#near = near;
    this.#far = far;
  }

  next(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      if (!this.#isRunning) this.#run();
    });
  }

  /** Who comes while a turn is under way gets the one behind it: this one may have looked before. */
  async #run(): Promise<void> {
    this.#isRunning = true;
    while (this.#waiting.length > 0) {
      const served = this.#waiting;
      this.#waiting = [];
      await this.#goRound();
      for (const wake of served) wake();
    }
    this.#isRunning = false;
  }

  async #goRound(): Promise<void> {
    try {
      await this.#near.write(this.#octet);
      await this.#far.read(this.#octet);
    } catch {
      // Closed: nobody is kept waiting.
    }
  }

  [Symbol.dispose](): void {
    this.#near.close();
    this.#far.close();
  }
}
