/** Comments without their markers. */
import type { Token } from '../../sql/lexer.ts'

/** The text of one comment, trimmed. */
export function commentText(comment: Token): string {
  const { text } = comment
  return (text.startsWith('--') ? text.slice(2) : text.slice(2, -2)).trim()
}
