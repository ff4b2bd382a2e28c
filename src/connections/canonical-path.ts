/** One spelling for every way to write a file's path, whether the file exists yet or not. */
import { readlinkSync, realpathSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'

/** As many links in a row as Linux follows. */
const MAX_LINKS = 40

/**
 * Symbolic links resolved, in folders too, and links to a file that does not exist yet: two such links opened at once
 * would become two instances of one file. Touches no file's content. Never throws.
 */
export function canonicalPath(path: string, linksLeft = MAX_LINKS): string {
  const absolute = resolve(path)
  try {
    return realpathSync(absolute)
  } catch {
    const parent = dirname(absolute)
    if (parent === absolute || linksLeft === 0) return absolute
    const folder = canonicalPath(parent, linksLeft - 1)
    const target = readLink(absolute)
    return target === null ? join(folder, basename(absolute)) : canonicalPath(resolve(folder, target), linksLeft - 1)
  }
}

function readLink(path: string): string | null {
  try {
    return readlinkSync(path)
  } catch {
    return null
  }
}
