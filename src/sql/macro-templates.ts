/** Names and strings with variables in them: `col_@{name}`, `"a@{name}"`, `@'text with @name'`. Pure. */
import type { TemplatePiece } from './macro-parts.ts'

const VARIABLE = /@@|@\{\s*([\p{L}_][\p{L}\p{N}_]*)\s*\}|@([\p{L}_][\p{L}\p{N}_]*)/gu

/** The pieces of a quoted name or string. `@@` stands for `@`. */
export function toPieces(text: string): TemplatePiece[] {
  const pieces: TemplatePiece[] = []
  let cursor = 0
  for (const match of text.matchAll(VARIABLE)) {
    const [written, braced, bare] = match
    if (match.index > cursor) pieces.push(text.slice(cursor, match.index))
    const name = braced ?? bare
    if (name === undefined) pieces.push('@')
    else pieces.push({ variable: name.toLowerCase(), written, loose: braced === undefined })
    cursor = match.index + written.length
  }
  if (cursor < text.length) pieces.push(text.slice(cursor))
  return pieces
}

const NAME_PIECE = /@\{\s*([\p{L}_][\p{L}\p{N}_]*)\s*\}|@([\p{L}_][\p{L}\p{N}_$]*)|[\p{L}\p{N}_$]+/uy

/** The pieces of the unquoted name that starts at `start`, and the offset behind it. */
export function readName(text: string, start: number): { pieces: TemplatePiece[]; end: number } {
  const pieces: TemplatePiece[] = []
  let end = start
  for (;;) {
    NAME_PIECE.lastIndex = end
    const match = NAME_PIECE.exec(text)
    if (match === null) return { pieces, end }
    const name = match[1] ?? match[2]
    pieces.push(name === undefined ? match[0] : { variable: name.toLowerCase(), written: match[0], loose: false })
    end += match[0].length
  }
}
