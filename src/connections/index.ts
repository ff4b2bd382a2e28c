/** The registry of connections, usable on its own. */
import '../dispose-symbols.ts'
export { parseConnection } from './config.ts'
export type {
  ConnectionConfig,
  ConnectionContext,
  ConnectionType,
  DuckDBConfig,
  ExtensionConfig,
  RemoteConfig,
} from './config.ts'
export { connectionKey, normalize } from './connection-key.ts'
export type { NormalizedConnection } from './connection-key.ts'
export type { AuthContext } from './credentials/auth-context.ts'
export { credentialIdentity } from './credentials/credential-identity.ts'
export { holdsLiteral, parseCredential } from './credentials/credential.ts'
export type { Credential, CredentialPlace, GetToken, GivenToken } from './credentials/credential.ts'
export { CredentialRefused } from './credential-refused.ts'
export { createTokenSource } from './credentials/token-source.ts'
export type { TokenSource, TokenSourceOptions, TokenSourceSnapshot } from './credentials/token-source.ts'
export type { Token } from './credentials/token.ts'
export { ConnectionLost } from './connection-lost.ts'
export { connectionRegistry } from './registry.ts'
export type { ConnectionRegistry, LeaseOptions, Owner, RegistrySnapshot } from './registry.ts'
export { DatabaseUnavailable } from './limits/breaker.ts'
export type { DatabaseSnapshot } from './database-snapshot.ts'
export type { KeySnapshot } from './key-records.ts'
export type { DatabaseCapabilities } from './databases/database.ts'
export type { JsonValue } from './json-rows.ts'
export type { Lease, LeasedDatabase } from './lease.ts'
export type { SqlValue, SqlValues } from './channel.ts'
export { classifySqlError } from './sql-errors.ts'
export type { SqlError, SqlErrorKind, SqlErrorPosition } from './sql-errors.ts'
export { CommitOutcomeUnknown } from './transaction.ts'
export type { Transaction } from './transaction.ts'
