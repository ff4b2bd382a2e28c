/** What is said of a configuration that is refused. */
import { expect } from 'vitest'

/** `parse` throws a CONFIG error with these texts in it. */
export function expectRefused(parse: () => unknown, message: string, hint?: string): void {
  expect(parse).toThrow(
    expect.objectContaining({
      code: 'CONFIG',
      message: expect.stringContaining(message),
      ...(hint === undefined ? {} : { hint: expect.stringContaining(hint) }),
    }),
  )
}
