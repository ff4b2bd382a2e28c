import { MillraceError } from '../../errors.ts'

/**
 * A secret may be sent there: https, or http to this machine; none in the URL itself, which is shown in messages.
 * @param name the key it stands under.
 * @throws MillraceError CONFIG
 */
export function assertSafeUrl(text: string, name: string): void {
  // Not shown when it cannot be read: a password may be anywhere in it.
  if (!URL.canParse(text)) throw new MillraceError('CONFIG', `${name}: expected a URL, got something else`)
  const url = new URL(text)
  if (url.username !== '' || url.password !== '') {
    throw new MillraceError('CONFIG', `${name}: expected a URL without a name or password in it`)
  }
  if (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url))) return
  throw new MillraceError(
    'CONFIG',
    `${name}: expected https, or http on this machine; got ${url.protocol}//${url.host}`,
    {
      hint: 'A secret sent over plain http can be read on its way.',
    },
  )
}

/** This machine, whatever the network's name service says. */
export function isLoopback({ hostname }: URL): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname)
}
