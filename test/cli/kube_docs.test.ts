// The pages on clusters are what people copy from: every YAML in them loads (kube-lint.md, which shows mistakes, is left
// out), and every AuthenticationConfiguration, bare or inside of another file, passes `sallyport kube lint`.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parseAllDocuments } from 'yaml'
import { runCli } from '../support/cli.ts'

const docs = join(import.meta.dirname, '..', '..', 'docs')
const PAGES = [
  'install-kubernetes.md',
  'kube-apiserver-file.md',
  'kube-audit.md',
  'kube-auth-config.md',
  'kube-rotation.md',
  'kube-token-review.md',
]

type Block = { readonly line: number; readonly text: string }

function yamlBlocks(page: string): readonly Block[] {
  const text = readFileSync(join(docs, page), 'utf8')
  return [...text.matchAll(/^( *)```yaml\n([\s\S]*?)^ *```$/gm)].map((match) => ({
    line: text.slice(0, match.index).split('\n').length + 1,
    text: (match[2] ?? '').replaceAll(new RegExp(`^${match[1]}`, 'gm'), ''),
  }))
}

for (const page of PAGES.filter((name) => existsSync(join(docs, name)))) {
  t.test(`every YAML of docs/${page} loads`, async (t) => {
    for (const { line, text } of yamlBlocks(page)) {
      const problems = parseAllDocuments(text, { version: '1.2' }).flatMap((document) => document.errors)
      t.same(problems, [], `${page}:${line}`)
    }
  })
}

t.test('every AuthenticationConfiguration that a cluster is told to take passes the linter', async (t) => {
  const blocks = yamlBlocks('kube-apiserver-file.md').filter(({ text }) =>
    /AuthenticationConfig|authentication_config_jwt/.test(text),
  )
  t.equal(blocks.length, 5, 'bare, k3s, Talos twice, kubespray')
  for (const { line, text } of blocks) {
    const { code, stdout, stderr } = await runCli(['kube', 'lint', '-'], { stdin: text })
    t.equal(code, 0, `kube-apiserver-file.md:${line}\n${stdout}${stderr}`)
  }
})

t.test('pages that the guide leads to are there', async (t) => {
  for (const page of ['install-kubernetes.md', 'kube-apiserver-file.md']) {
    const text = readFileSync(join(docs, page), 'utf8')
    for (const [, target = ''] of text.matchAll(/\]\(([\w./-]+\.md)/g))
      t.ok(existsSync(join(docs, target)), `${page} -> ${target}`)
  }
})
