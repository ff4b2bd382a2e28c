/** Secrets that stand in a configuration as plain text: a key cannot tell them apart, since nothing of them is in it. */
import type { ConnectionConfig } from './connection-config.ts'
import { ConnectionEnvironment } from './connection-environment.ts'
import { CredentialReference } from './credential-reference.ts'
import { isSecretName, withoutSecrets } from './secret-text.ts'

/**
 * For two configurations of one key: whether they also hold the same secrets, and so act for the same tenant. Of two projects, each
 * with an environment of its own, variables of one name must have one value; in one project a variable may change.
 */
export function haveSameLiterals(a: ConnectionConfig, b: ConnectionConfig): boolean {
  const variables = a.root !== b.root
  const [inA, inB] = [literalsOf(a, variables), literalsOf(b, variables)]
  return inA.size === inB.size && [...inA].every(([path, secret]) => inB.get(path) === secret)
}

/** Where secrets stand as plain text, for a warning: `connection.secrets.api.bearer_token`. */
export function placesOfLiterals(config: ConnectionConfig): string[] {
  const places = [...literalsOf(config, false).keys()].map((path) => {
    const named = path.replace(/^\/secrets\/(\d+)\/parameters/, (_, index: string) => {
      return `/secrets/${config.secrets?.[Number(index)]?.name ?? index}`
    })
    return `connection${named
      .replace(/\/(credential|secret)$/, '')
      .replaceAll('/credential', '')
      .replaceAll('/', '.')}`
  })
  return [...new Set(places)].sort()
}

/** By their place. @param variables whether those of the environment are included. */
function literalsOf(config: ConnectionConfig, variables: boolean): ReadonlyMap<string, string> {
  const environment = variables ? config.environment.variables() : {}
  const found = new Map<string, string>()
  const seen = new Set<unknown>()
  const stack: { path: string; name: string; value: unknown }[] = [{ path: '', name: '', value: config }]
  for (let visit = stack.pop(); visit !== undefined; visit = stack.pop()) {
    const { path, name, value } = visit
    if (typeof value === 'string' && (isSecretName(name) || withoutSecrets(value) !== value)) found.set(path, value)
    if (typeof value !== 'object' || value === null || seen.has(value) || value instanceof ConnectionEnvironment)
      continue
    seen.add(value)
    // Not enumerable where a credential is a literal.
    if ('kind' in value && value.kind === 'literal' && 'secret' in value) found.set(path, String(value.secret))
    if (variables && 'kind' in value && value.kind === 'env' && 'variable' in value) {
      found.set(path, environment[String(value.variable)] ?? '')
    }
    const inside = value instanceof CredentialReference ? { credential: value.credential } : value
    for (const [key, item] of Object.entries(inside)) {
      stack.push({ path: `${path}/${key}`, name: Array.isArray(value) ? name : key, value: item })
    }
  }
  return found
}
