/** Compiled `using` needs two symbols that Node has since 20.4; entry points import this first, so that 20.3 works too. */

for (const name of ['dispose', 'asyncDispose']) {
  if (name in Symbol) continue
  Object.defineProperty(Symbol, name, { value: Symbol.for(`Symbol.${name}`) })
}
