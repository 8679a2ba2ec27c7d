/** Who may send to domains that are not ours. Nobody may by default, not even a client on loopback. */

import { type CidrBlock, isInBlock, parseCidr, parseIpAddress } from "./cidr.ts";

/**
 * Reads the blocks of the configuration, once for each configuration.
 *
 * @throws {RangeError} For text that is no CIDR block; reading the configuration has checked that.
 */
export function relayBlocks(relayFrom: readonly string[]): readonly CidrBlock[] {
  return relayFrom.map((text) => {
    const block = parseCidr(text);
    if (block === undefined) throw new RangeError(`Cannot read CIDR block "${text}"`);
    return block;
  });
}

/**
 * Decides whether a session may send to a domain that is not ours (RFC 5321 §3.6.2, RFC 6409 §4.3).
 *
 * @param clientAddress Without port; undefined for a Unix socket, which is no reason to relay.
 * @param login The account that logged in.
 * @param relayFrom The blocks of `relay_from`.
 */
export function mayRelay(
  clientAddress: string | undefined,
  login: string | undefined,
  relayFrom: readonly CidrBlock[],
): boolean {
  return login !== undefined || isListed(clientAddress, relayFrom);
}

/** True for an address in one of the blocks; never for a client without one. */
export function isListed(clientAddress: string | undefined, blocks: readonly CidrBlock[]): boolean {
  if (clientAddress === undefined || blocks.length === 0) return false;
  const address = parseIpAddress(clientAddress);
  return address !== undefined && blocks.some((block) => isInBlock(address, block));
}
