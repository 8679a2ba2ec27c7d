/** Thrown where the client is gone, too slow, or the server stops: there is nobody to reply to. */
export class ConnectionEnded extends Error {
  override readonly name = "ConnectionEnded";
}
