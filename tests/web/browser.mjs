// A browser that is told what to do: one JSON command per line on standard input, one JSON answer per line.
// usage: node browser.mjs [FOLDER]; Debian's Chromium, driven by playwright-core; FOLDER is where pictures go.
//
// {"do": NAME, ...arguments} -> {"value": ...} or {"error": "..."}. The commands are the functions below.
import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'

const { chromium } = createRequire(process.env.WEB_PACKAGES + '/')('playwright-core')
const browser = await chromium.launch({
    timeout: 120_000,
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    // Root needs no sandbox; the certificates are those of the tests' own authority.
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--no-first-run', '--ignore-certificate-errors'],
})
const context = await browser.newContext({ ignoreHTTPSErrors: true })
context.setDefaultTimeout(60_000)
await context.grantPermissions(['clipboard-read', 'clipboard-write'])
// Nothing outside of this machine is ever asked.
await context.route((url) => !['127.0.0.1', 'localhost'].includes(url.hostname), (route) => route.abort())
let page = await context.newPage()
let said = []
let asked = []
const listen = (one) => {
    one.on('console', (message) => { if (['error', 'warning'].includes(message.type())) said.push(message.text()) })
    one.on('pageerror', (error) => said.push(String(error)))
    one.on('request', (request) => asked.push(request.url()))
}
listen(page)

const commands = {
    goto: async ({ url }) => { const answer = await page.goto(url); return answer?.status() ?? 0 },
    url: async () => page.url(),
    title: async () => page.title(),
    html: async () => page.content(),
    fill: async ({ at, text }) => page.fill(at, text),
    select: async ({ at, value }) => { await page.selectOption(at, value) },
    check: async ({ at }) => page.check(at),
    click: async ({ at }) => page.click(at),
    press: async ({ key }) => page.keyboard.press(key),
    text: async ({ at }) => page.innerText(at),
    texts: async ({ at }) => page.locator(at).allInnerTexts(),
    count: async ({ at }) => page.locator(at).count(),
    attribute: async ({ at, name }) => page.getAttribute(at, name),
    wait: async ({ at }) => { await page.waitForSelector(at) },
    wait_url: async ({ pattern }) => { await page.waitForURL(new RegExp(pattern)); return page.url() },
    size: async ({ width, height }) => page.setViewportSize({ width, height }),
    theme: async ({ name }) => page.emulateMedia({ colorScheme: name }),
    picture: async ({ path }) => { await page.screenshot({ path, fullPage: true }) },
    // Runs in the page.
    run: async ({ code }) => page.evaluate(code),
    cookies: async () => context.cookies(),
    forget: async () => context.clearCookies(),
    // What the page complained about since the last question: errors, and what its content policy blocked.
    said: async () => { const all = said; said = []; return all },
    // Addresses that were asked for since the last question.
    asked: async () => { const all = asked; asked = []; return all },
    // A key that signs when it is asked to, as a person with a security key does.
    authenticator: async () => {
        const session = await context.newCDPSession(page)
        await session.send('WebAuthn.enable')
        const options = {
            protocol: 'ctap2', transport: 'usb', hasResidentKey: false, hasUserVerification: true, isUserVerified: true,
            automaticPresenceSimulation: true,
        }
        return (await session.send('WebAuthn.addVirtualAuthenticator', { options })).authenticatorId
    },
    close: async () => { await browser.close(); process.exit(0) },
}

process.stdout.write('{"value":"ready"}\n')
for await (const line of createInterface({ input: process.stdin })) {
    let answer
    try {
        const { do: name, ...rest } = JSON.parse(line)
        answer = { value: (await commands[name](rest)) ?? null }
    } catch (error) {
        answer = { error: `${String(error?.message ?? error).split('\n')[0]} (at ${page.url()})` }
    }
    process.stdout.write(JSON.stringify(answer) + '\n')
}
await browser.close()
