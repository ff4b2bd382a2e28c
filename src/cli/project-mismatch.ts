/** What differs between this folder and the worker's copy of it, in names a person knows. */
import { MillraceError } from '../errors.ts'

/** Names shown of each sort. */
const MAX_NAMES = 20

/**
 * @param error PROJECT_MISMATCH as the worker throws it: its hint is the worker's hash of each model, as JSON.
 * @param ours this folder's hash of each model.
 */
export function nameMismatch(error: MillraceError, ours: Readonly<Record<string, string>>): MillraceError {
  const theirs = parseHashes(error.hint)
  const names = [...new Set([...Object.keys(ours), ...Object.keys(theirs)])].sort()
  const sorts = [
    ['differ', names.filter((name) => name in ours && name in theirs && ours[name] !== theirs[name])],
    ['only in this folder', names.filter((name) => !(name in theirs))],
    ["only in the worker's copy", names.filter((name) => !(name in ours))],
  ] as const
  const parts = sorts.flatMap(([what, found]) => (found.length === 0 ? [] : [`${what}: ${shorten(found)}`]))
  const differences = parts.length === 0 ? '' : ` (${parts.join('; ')})`
  return new MillraceError('PROJECT_MISMATCH', `${error.message}${differences}`, {
    hint: 'bring the same folder to the worker, or build where the worker is; nothing was built',
    cause: error,
  })
}

function parseHashes(hint: string | null): Record<string, string> {
  try {
    return JSON.parse(hint ?? '{}') as Record<string, string>
  } catch {
    // A worker of another version, whose hint is a text.
    return {}
  }
}

function shorten(names: readonly string[]): string {
  const shown = names
    .slice(0, MAX_NAMES)
    .map((name) => `'${name}'`)
    .join(', ')
  return names.length > MAX_NAMES ? `${shown} and ${names.length - MAX_NAMES} more` : shown
}
