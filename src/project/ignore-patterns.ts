/** `ignore_patterns` of config.yaml: which files of a project are left out. Pure. */

/** Whether a path, relative to the project with `/` as separator, is left out. */
export type Ignore = (path: string) => boolean

/**
 * A pattern is a glob relative to the project: `*` and `?` stay within one folder, `**` spans any number, `[…]` is a set.
 * One without a leading `/` also matches the end of a path (`*_tmp.sql`, `scratch/*`), and one that names a folder
 * leaves out what is in it.
 * @throws SyntaxError for a set that is none, such as `[z-a]`
 */
export function createIgnore(patterns: readonly string[]): Ignore {
  const expressions = patterns.filter((pattern) => pattern !== '').map(toExpression)
  return (path) => expressions.some((expression) => expression.test(path))
}

function toExpression(pattern: string): RegExp {
  const parts = pattern.replaceAll(/^(\.?\/)+|\/+$/g, '').split('/')
  const source = parts.map((part, index) => {
    if (index === parts.length - 1) return part === '**' ? '.*' : oneFolder(part)
    return part === '**' ? '(?:[^/]+/)*' : `${oneFolder(part)}/`
  })
  return new RegExp(`${pattern.startsWith('/') ? '^' : '(?:^|/)'}${source.join('')}(?:/|$)`)
}

function oneFolder(part: string): string {
  return part.replaceAll(/\[!?[^\]]+\]|[\s\S]/g, (piece) => {
    if (piece === '*') return '[^/]*'
    if (piece === '?') return '[^/]'
    if (piece.length > 1) return piece.replace('[!', '[^').replaceAll('\\', '\\\\')
    return piece.replaceAll(/[.+^${}()|[\]\\]/g, String.raw`\$&`)
  })
}
