/** Where secrets stand in configurations as plain text: under which names, and within which texts. */

/** Stands where a secret stood. */
export const SECRET = '<secret>'

const SECRET_NAME =
  /(^|_)(token|secret|password|passwd|passphrase|connection_string|private_key|access_key|secret_key|api_key|authorization|cookie|pwd)$/i

/** Whether plain text under this name is a secret. `token_url` and the like are not; `secrets` is a list of them. */
export function isSecretName(name: string): boolean {
  return SECRET_NAME.test(name.replaceAll('-', '_'))
}

/** `token=…`, `password=…` within a text, and the password of a URL, replaced. */
export function withoutSecrets(text: string): string {
  return text
    .replaceAll(/((?:token|password|passwd|secret)\s*=\s*)(?:'(?:[^'\\]|\\.)*'|[^\s&;,']+)/gi, `$1${SECRET}`)
    .replaceAll(/(\w:\/\/[^/\s:@]*:)[^/\s@]+@/g, `$1${SECRET}@`)
}
