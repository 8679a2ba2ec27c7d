/**
 * Arrays of plain numbers that grow by pieces: for what is kept about each of a million messages. A number costs its own
 * width and nothing else, growing copies nothing, and the garbage collector has nothing to look at.
 */

/** The kinds of numbers; the width of one is that of the typed array. */
export type ColumnArray = Int32Array | Float64Array | Uint8Array;

const PIECE_BITS = 12;
/** Slots that are added at a time. */
export const PIECE_SLOTS: number = 1 << PIECE_BITS;
const PIECE_MASK = PIECE_SLOTS - 1;

/** One number for each slot; 0 where none was set. */
export class Column {
  readonly #make: (length: number) => ColumnArray;
  #pieces: ColumnArray[] = [];

  /** Takes what makes one piece: `(length) => new Int32Array(length)`. */
  constructor(make: (length: number) => ColumnArray) {
    this.#make = make;
  }

  /** The number of a slot, which is a whole number from 0. */
  get(slot: number): number {
    const piece = this.#pieces[slot >> PIECE_BITS];
    return piece === undefined ? 0 : piece[slot & PIECE_MASK] ?? 0;
  }

  /** Sets it, cut down to the width of the column. */
  set(slot: number, value: number): void {
    const piece = this.#pieces[slot >> PIECE_BITS] ?? this.#grow(slot >> PIECE_BITS);
    piece[slot & PIECE_MASK] = value;
  }

  /** Sets all to 0 and gives the memory back. */
  clear(): void {
    this.#pieces = [];
  }

  #grow(last: number): ColumnArray {
    for (let next = this.#pieces.length; next < last; next++) this.#pieces.push(this.#make(PIECE_SLOTS));
    const piece = this.#make(PIECE_SLOTS);
    this.#pieces.push(piece);
    return piece;
  }
}

/** A column of whole numbers from -2³¹ to 2³¹-1, four octets each. */
export function integerColumn(): Column {
  return new Column((length) => new Int32Array(length));
}

/** A column of any numbers, eight octets each. */
export function numberColumn(): Column {
  return new Column((length) => new Float64Array(length));
}

/** A column of whole numbers from 0 to 255, one octet each. */
export function octetColumn(): Column {
  return new Column((length) => new Uint8Array(length));
}
