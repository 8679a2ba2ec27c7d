/** Thrown where the client is gone, too slow, or the server stops: there is nobody to reply to. */
export class ConnectionEnded extends Error {
  /** Stands in front of the message in logs and stack traces. */
  override readonly name = "ConnectionEnded";
}
