/** What a secret is obtained from: the shapes that may stand in a configuration in a secret's place. */
import { resolve } from 'node:path'
import { MillraceError, nearest } from '../../errors.ts'
import { resolvePath } from '../config/resolve-path.ts'
import type { AuthContext } from './auth-context.ts'
import { assertSafeUrl } from './safe-url.ts'

/** What a function may answer: the secret, or the secret and when it expires. */
export type GivenToken = string | { token: string; expiresAtMs?: number | null }
export type GetToken = (auth: AuthContext) => GivenToken | Promise<GivenToken>

export type Credential =
  | { readonly kind: 'env'; readonly variable: string }
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'command'; readonly argv: readonly [string, ...string[]]; readonly folder: string }
  | OAuth2Credential
  | MotherDuckCredential
  | { readonly kind: 'function'; readonly getToken: GetToken }
  | LiteralCredential

export interface OAuth2Credential {
  readonly kind: 'oauth2'
  /** https, or http on loopback. */
  readonly tokenUrl: string
  readonly clientId: string
  readonly clientSecret: Credential
  readonly scope: string | null
  readonly audience: string | null
}

export interface MotherDuckCredential {
  readonly kind: 'motherduck'
  /** The service account. */
  readonly username: string
  readonly adminToken: Credential
  /** Life of the tokens it is given. */
  readonly ttlMs: number
}

export interface LiteralCredential {
  readonly kind: 'literal'
  /** Not enumerable: printing, spreading and JSON leave it out. */
  readonly secret: string
}

export interface CredentialPlace {
  /** The project's folder: relative paths and commands start there. */
  root: string
  /** The key it stands under, for messages: `connection.token`. */
  name: string
}

/**
 * @param raw as in config.yaml: one of the mappings, a text (the secret itself), or a function.
 * @throws MillraceError CONFIG naming the key, never the value.
 */
export function parseCredential(raw: unknown, place: CredentialPlace): Credential {
  if (typeof raw === 'function') return { kind: 'function', getToken: raw as GetToken }
  if (typeof raw === 'string') return parseLiteral(raw, place)
  const { name } = place
  if (!isMapping(raw)) throw wrong(name, `expected a credential (${SHAPES}), got ${typeName(raw)}`)
  const [kind, ...others] = Object.keys(raw)
  if (kind === undefined || others.length > 0) {
    throw wrong(
      name,
      `expected exactly one of ${KINDS.join(', ')}, got ${others.length === 0 ? 'none' : Object.keys(raw).join(', ')}`,
    )
  }
  const parse = PARSERS[kind]
  if (parse === undefined) throw unknownKey(name, 'a credential', { unknown: kind, known: KINDS })
  return parse(raw[kind], { ...place, name: `${name}.${kind}` })
}

/** Whether the secret itself stands in the configuration, here or in what this credential needs. */
export function holdsLiteral(credential: Credential): boolean {
  if (credential.kind === 'oauth2') return holdsLiteral(credential.clientSecret)
  if (credential.kind === 'motherduck') return holdsLiteral(credential.adminToken)
  return credential.kind === 'literal'
}

type Mapping = Record<string, unknown>

const SHAPES = 'env, file, command, oauth2 or motherduck, or a text'

/** Seconds; short-lived is the point, and an hour outlasts most builds. */
const DEFAULT_TTL = 3600
const LONGEST_TTL = 31_536_000

const PARSERS: Record<string, (raw: unknown, place: CredentialPlace) => Credential> = {
  env: parseEnv,
  file: parseFile,
  command: parseCommand,
  oauth2: parseOAuth2,
  motherduck: parseMotherDuck,
}
const KINDS = Object.keys(PARSERS)

/** Files whose reading would drop the lock of a database this process has open. */
const DATABASE_FILE = /\.(duckdb|ddb|wal)$/i

/** Options whose value is a secret, in the command's own words. */
const SECRET_OPTION = /^--?(password|passwd|token|secret|client-secret|api-key)$/i

function parseLiteral(raw: string, { name }: CredentialPlace): Credential {
  const secret = raw.trim()
  if (secret === '') throw wrong(name, 'expected a credential, got an empty text', 'Is the variable it comes from set?')
  return Object.defineProperty({ kind: 'literal' as const, secret }, 'secret', { enumerable: false })
}

function parseEnv(raw: unknown, { name }: CredentialPlace): Credential {
  // Not shown: the secret itself, written here by mistake, would be.
  if (typeof raw !== 'string' || !/^[A-Za-z_][A-Za-z0-9_]*$/.test(raw)) {
    throw wrong(
      name,
      'expected the name of an environment variable (letters, digits, _)',
      'Name the variable, not its value.',
    )
  }
  return { kind: 'env', variable: raw }
}

function parseFile(raw: unknown, { name, root }: CredentialPlace): Credential {
  const written = textOf(raw, name)
  if (DATABASE_FILE.test(written)) throw wrong(name, 'expected a file that holds a token, got the name of a database')
  return { kind: 'file', path: resolvePath(written, { root, env: {} }) }
}

function parseCommand(raw: unknown, { name, root }: CredentialPlace): Credential {
  const words: unknown[] = Array.isArray(raw) ? raw : []
  const [program, ...args] = words.map((word, index) => textOf(word, `${name}[${index}]`))
  if (program === undefined) {
    throw wrong(
      name,
      `expected a list: the program and its arguments; got ${typeName(raw)}`,
      'No shell reads it: [vault, print, token], not "vault print token".',
    )
  }
  const exposed = args.find((word, index) => {
    const [option = '', value] = word.split('=', 2)
    return SECRET_OPTION.test(option) && (value !== undefined || args[index + 1] !== undefined)
  })
  if (exposed !== undefined) {
    throw wrong(
      name,
      `${exposed.split('=', 1)[0]} would show its value to everybody who lists the processes of the machine`,
      'Give it to the program in an environment variable or a file.',
    )
  }
  // Beside the project, not on PATH.
  const path = /[/\\]/.test(program) ? resolve(root, program) : program
  return { kind: 'command', argv: [path, ...args], folder: resolve(root) }
}

const OAUTH2_KEYS = ['token_url', 'client_id', 'client_secret', 'scope', 'audience']

function parseOAuth2(raw: unknown, place: CredentialPlace): Credential {
  const { name } = place
  const keys = mappingOf(raw, name, OAUTH2_KEYS)
  const tokenUrl = textOf(keys['token_url'], `${name}.token_url`)
  assertSafeUrl(tokenUrl, `${name}.token_url`)
  const { scope, audience } = keys
  return {
    kind: 'oauth2',
    tokenUrl,
    clientId: textOf(keys['client_id'], `${name}.client_id`),
    clientSecret: nested(keys, 'client_secret', place),
    scope: absent(scope) ? null : textOf(Array.isArray(scope) ? scope.join(' ') : scope, `${name}.scope`),
    audience: absent(audience) ? null : textOf(audience, `${name}.audience`),
  }
}

const MOTHERDUCK_KEYS = ['username', 'admin_token', 'ttl']

function parseMotherDuck(raw: unknown, place: CredentialPlace): Credential {
  const { name } = place
  const keys = mappingOf(raw, name, MOTHERDUCK_KEYS)
  const ttl = Number(keys['ttl'] ?? DEFAULT_TTL)
  if (!Number.isInteger(ttl) || ttl < 1 || ttl > LONGEST_TTL) {
    throw wrong(`${name}.ttl`, `expected whole seconds from 1 to ${LONGEST_TTL}, got ${JSON.stringify(keys['ttl'])}`)
  }
  const username = textOf(keys['username'], `${name}.username`)
  return { kind: 'motherduck', username, adminToken: nested(keys, 'admin_token', place), ttlMs: ttl * 1000 }
}

function nested(keys: Mapping, key: string, place: CredentialPlace): Credential {
  const name = `${place.name}.${key}`
  if (absent(keys[key])) throw wrong(name, `expected a credential (${SHAPES}), got nothing`)
  return parseCredential(keys[key], { ...place, name })
}

function mappingOf(raw: unknown, name: string, known: readonly string[]): Mapping {
  if (!isMapping(raw)) throw wrong(name, `expected a mapping with ${known.join(', ')}; got ${typeName(raw)}`)
  const unknown = Object.keys(raw).find((key) => !known.includes(key))
  if (unknown !== undefined) throw unknownKey(name, 'it', { unknown, known })
  return raw
}

function textOf(raw: unknown, name: string): string {
  // YAML reads a client id or an argument of digits as a number.
  const text = typeof raw === 'number' ? String(raw) : raw
  if (typeof text === 'string' && text.trim() !== '') return text
  throw wrong(name, `expected a text, got ${text === '' ? 'an empty one' : typeName(raw)}`)
}

function isMapping(raw: unknown): raw is Mapping {
  return typeof raw === 'object' && raw !== null && !Array.isArray(raw)
}

function absent(raw: unknown): boolean {
  return raw === undefined || raw === null
}

function typeName(raw: unknown): string {
  if (absent(raw)) return 'nothing'
  return Array.isArray(raw) ? 'a list' : typeof raw === 'object' ? 'a mapping' : `a ${typeof raw}`
}

function unknownKey(
  name: string,
  what: string,
  { unknown, known }: { unknown: string; known: readonly string[] },
): MillraceError {
  const near = nearest(unknown, known)
  return wrong(
    name,
    `${what} has no key '${unknown}'; the known keys are ${known.join(', ')}`,
    near === null ? undefined : `Did you mean '${near}'?`,
  )
}

function wrong(name: string, problem: string, hint?: string): MillraceError {
  return new MillraceError('CONFIG', `${name}: ${problem}`, hint === undefined ? {} : { hint })
}
