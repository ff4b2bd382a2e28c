/** What DuckDB's secrets are made of. */

/** Types DuckDB and its usual extensions have: a name close to one of them is a slip, any other belongs to some extension. */
export const SECRET_TYPES = [
  'azure',
  'ducklake',
  'gcs',
  'http',
  'huggingface',
  'iceberg',
  'mysql',
  'postgres',
  'quack',
  'r2',
  's3',
]

export const SECRET_PARAMETERS = [
  'account_id',
  'account_name',
  'assume_role_arn',
  'bearer_token',
  'chain',
  'client_id',
  'client_secret',
  'connection_string',
  'data_path',
  'database',
  'dbname',
  'endpoint',
  'external_id',
  'extra_http_headers',
  'host',
  'http_proxy',
  'http_proxy_password',
  'http_proxy_username',
  'key_id',
  'kms_key_id',
  'metadata_parameters',
  'metadata_path',
  'metadata_schema',
  'passfile',
  'password',
  'port',
  'profile',
  'refresh',
  'region',
  'requester_pays',
  'secret',
  'session_token',
  'socket',
  'ssl_mode',
  'sslmode',
  'tenant_id',
  'token',
  'url_compatibility_mode',
  'url_style',
  'use_ssl',
  'user',
  'validation',
  'verify_ssl',
]

export const BOOLEAN_PARAMETERS: ReadonlySet<string> = new Set([
  'requester_pays',
  'url_compatibility_mode',
  'use_ssl',
  'verify_ssl',
])
/** Values that are a mapping even when it looks like a credential. */
export const MAPPING_PARAMETERS: ReadonlySet<string> = new Set(['extra_http_headers', 'metadata_parameters'])
/** They would outlive the process, or hide that a secret is there twice. */
export const REFUSED_PARAMETERS: ReadonlySet<string> = new Set(['persistent', 'storage', 'if_not_exists', 'or_replace'])
