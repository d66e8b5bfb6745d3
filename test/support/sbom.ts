// The SBOM of a bundle: CycloneDX 1.6 as JSON, of the packages whose code esbuild has put in, no more and no fewer, with
// the hash of the lock for each. The same bundle gives the same bytes: no time, no random number.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Metafile } from 'esbuild'

const SPECIFICATION = '1.6'

type Lock = {
  readonly packages: Readonly<
    Record<string, { readonly version: string; readonly name?: string; readonly integrity?: string }>
  >
}

type Component = { readonly group?: string; readonly name: string; readonly version: string }

/** Throws when the result does not hold CycloneDX's schema, or when a package is not in the lock. */
export function sbomOf(root: string, metafiles: readonly Metafile[]): string {
  const scratch = mkdtempSync(join(tmpdir(), 'sallyport-sbom-'))
  try {
    const [metafile, written] = [join(scratch, 'metafile.json'), join(scratch, 'sbom.json')]
    writeFileSync(metafile, JSON.stringify(merged(root, metafiles)))
    const plugin = import.meta.resolve('@cyclonedx/cyclonedx-esbuild')
    const program = fileURLToPath(new URL('../bin/cyclonedx-esbuild-cli.js', plugin))
    const flags = ['--spec-version', SPECIFICATION, '--output-reproducible', '--validate']
    const files = ['--build-working-dir', root, '--output-file', written, metafile]
    // Without a PATH it finds no yarn and no bun, which it would ask for their folders.
    execFileSync(process.execPath, [program, ...flags, ...files], { env: {}, stdio: 'pipe' })
    const bom: { readonly components: readonly Component[] } = JSON.parse(readFileSync(written, 'utf8'))
    const lock: Lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'))
    const components = bom.components.map((component) => withHash(component, lock))
    return `${JSON.stringify({ ...bom, components }, undefined, 2)}\n`
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

/** One for all, of files alone: what a plugin of the build has made up is no component. */
function merged(root: string, metafiles: readonly Metafile[]): Metafile {
  const onlyFiles = <T>(inputs: Readonly<Record<string, T>>): Record<string, T> =>
    Object.fromEntries(Object.entries(inputs).filter(([path]) => existsSync(resolve(root, path))))
  const outputs = metafiles.flatMap((metafile) => Object.entries(metafile.outputs))
  return {
    inputs: Object.assign({}, ...metafiles.map(({ inputs }) => onlyFiles(inputs))),
    outputs: Object.fromEntries(
      outputs.map(([path, output]) => [path, { ...output, inputs: onlyFiles(output.inputs) }]),
    ),
  }
}

function withHash(component: Component, { packages }: Lock): object {
  const { group, name, version } = component
  const full = group === undefined ? name : `${group}/${name}`
  const entry = Object.entries(packages).find(
    ([path, each]) =>
      each.version === version && (each.name ?? path.replace(/^.*node_modules\//, '')) === full,
  )
  const [algorithm, hash] = entry?.[1].integrity?.split('-') ?? []
  if (algorithm !== 'sha512' || hash === undefined)
    throw new Error(`${full} ${version} has no SHA-512 in the lock`)
  const content = Buffer.from(hash, 'base64').toString('hex')
  return { ...component, hashes: [{ alg: 'SHA-512', content }] }
}
