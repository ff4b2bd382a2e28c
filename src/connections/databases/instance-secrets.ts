/** The secrets of an open instance (S3, HTTP, PostgreSQL …): made when they are first needed, made anew when a credential in them is. */
import type { DuckDBConnection } from '@duckdb/node-api'
import { MillraceError } from '../../errors.ts'
import { quoteIdentifier, quoteString } from '../../sql/identifiers.ts'
import { CredentialReference } from '../config/credential-reference.ts'
import type { SecretConfig, SecretValue } from '../config/secret-config.ts'
import type { AuthContext } from '../credentials/auth-context.ts'
import {
  createTokenSource,
  type TokenSource,
  type TokenSourceOptions,
  type TokenSourceSnapshot,
} from '../credentials/token-source.ts'
import type { Token } from '../credentials/token.ts'
import type { UsedCredentials } from './database.ts'
import { usedTokens, type UsedToken } from './used-tokens.ts'

export interface InstanceSecrets {
  /**
   * Makes sure that the instance's secrets hold tokens that are good. The tokens are asked for in the caller's own context; queries
   * that run go on with what they began with.
   * @throws MillraceError CREDENTIALS, CONFIG; the signal's reason.
   */
  renew(connection: DuckDBConnection, auth: AuthContext): Promise<UsedCredentials>
  snapshot(): TokenSourceSnapshot[]
}

interface Kept {
  config: SecretConfig
  /** By the reference that stands in the configuration. */
  sources: Map<CredentialReference, TokenSource>
  /** What the instance's secret was made from; null before the first time. */
  made: readonly Token[] | null
}

export function createInstanceSecrets(configs: readonly SecretConfig[], options: TokenSourceOptions): InstanceSecrets {
  const secrets = configs.map((config): Kept => {
    const references = Object.values(config.parameters).flatMap(referencesIn)
    const sources = new Map(
      references.map((reference) => [reference, createTokenSource(reference.credential, options)]),
    )
    return { config, sources, made: null }
  })
  let making: Promise<void> = Promise.resolve()

  async function renewOne(kept: Kept, connection: DuckDBConnection, auth: AuthContext): Promise<readonly Token[]> {
    const tokens: Token[] = []
    for (const source of kept.sources.values()) tokens.push(await source.get(auth))
    const mine = makeUnlessMade(kept, tokens, { connection, before: making })
    making = mine.catch(() => undefined)
    await mine
    return tokens
  }

  return {
    snapshot: () => secrets.flatMap(({ sources }) => [...sources.values()].map((source) => source.snapshot())),
    async renew(connection, auth) {
      const startedMs = Date.now()
      const used: UsedToken[] = []
      for (const kept of secrets) {
        const tokens = await renewOne(kept, connection, auth)
        for (const [index, source] of [...kept.sources.values()].entries()) {
          const token = tokens[index]
          if (token !== undefined) used.push({ source, token })
        }
      }
      return usedTokens(used, startedMs)
    },
  }
}

/** One at a time: two that make one secret conflict. */
async function makeUnlessMade(
  kept: Kept,
  tokens: readonly Token[],
  { connection, before }: { connection: DuckDBConnection; before: Promise<void> },
): Promise<void> {
  await before
  if (kept.made !== null && !isNewer(tokens, kept.made)) return
  await make(connection, kept, tokens)
  kept.made = tokens
}

/** A lease that comes late with older tokens must not bring them back. */
function isNewer(tokens: readonly Token[], made: readonly Token[]): boolean {
  return tokens.some((token, index) => {
    const before = made[index]
    return before === undefined || (token.value !== before.value && token.obtainedAtMs >= before.obtainedAtMs)
  })
}

async function make(connection: DuckDBConnection, kept: Kept, tokens: readonly Token[]): Promise<void> {
  const { name, type, provider, scope, parameters } = kept.config
  const values = new Map([...kept.sources.keys()].map((reference, index) => [reference, tokens[index]?.value ?? '']))
  const clauses = [
    `TYPE ${quoteIdentifier(type)}`,
    `PROVIDER ${quoteIdentifier(provider)}`,
    ...(scope.length === 0 ? [] : [`SCOPE [${scope.map(quoteString).join(', ')}]`]),
    ...Object.entries(parameters).map(([key, value]) => `${quoteIdentifier(key)} ${toLiteral(value, values)}`),
  ]
  try {
    await connection.run(`CREATE OR REPLACE TEMPORARY SECRET ${quoteIdentifier(name)} (${clauses.join(', ')})`)
  } catch (error) {
    throw new MillraceError(
      'CONFIG',
      `connection.secrets: DuckDB refuses the secret '${name}': ${scrub(error, values)}`,
      {
        hint: `Check the parameters of a secret of type ${type}, and that its extension is in connection.extensions.`,
      },
    )
  }
}

function toLiteral(value: SecretValue, tokens: ReadonlyMap<CredentialReference, string>): string {
  if (value instanceof CredentialReference) return quoteString(tokens.get(value) ?? '')
  if (typeof value === 'string') return quoteString(value)
  if (typeof value === 'boolean') return String(value)
  if (isList(value)) return `[${value.map((item) => toLiteral(item, tokens)).join(', ')}]`
  const entries = Object.entries(value).map(([key, item]) => `${quoteString(key)}: ${toLiteral(item, tokens)}`)
  return `MAP {${entries.join(', ')}}`
}

function referencesIn(value: SecretValue): CredentialReference[] {
  if (value instanceof CredentialReference) return [value]
  if (typeof value !== 'object') return []
  return (isList(value) ? [...value] : Object.values(value)).flatMap(referencesIn)
}

function isList(value: SecretValue): value is readonly SecretValue[] {
  return Array.isArray(value)
}

/** DuckDB repeats the statement, and with it what is secret. Not kept as the cause for the same reason. */
function scrub(error: unknown, tokens: ReadonlyMap<CredentialReference, string>): string {
  const [line = ''] = (error instanceof Error ? error.message : String(error)).split('\n', 1)
  return [...tokens.values()]
    .filter((token) => token !== '')
    .reduce((text, token) => text.replaceAll(token, '<secret>'), line)
}
