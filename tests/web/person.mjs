// Signs somebody in at the made-up provider without a browser, for `tidegate login --device`: types the code, the name and a
// password, says yes. usage: node person.mjs NAME VERIFICATION_URL USER_CODE
const [name, start, code] = process.argv.slice(2)
const jar = new Map()

async function visit(url, form) {
    const cookie = [...jar].map(([key, value]) => `${key}=${value}`).join('; ')
    const answer = await fetch(url, {
        method: form ? 'POST' : 'GET',
        body: form && new URLSearchParams(form),
        headers: { cookie },
        redirect: 'manual',
    })
    for (const line of answer.headers.getSetCookie()) {
        const [pair] = line.split(';')
        const at = pair.indexOf('=')
        jar.set(pair.slice(0, at), pair.slice(at + 1))
    }
    const onward = answer.headers.get('location')
    if (onward) return visit(new URL(onward, url).href)
    return { url, status: answer.status, text: await answer.text() }
}

// The fields that a page's form already has.
function fields(text) {
    const found = {}
    for (const [tag] of text.matchAll(/<input[^>]*>/g)) {
        const key = /name="([^"]*)"/.exec(tag)?.[1]
        if (key) found[key] = /value="([^"]*)"/.exec(tag)?.[1] ?? ''
    }
    return found
}
const action = (page) => new URL(/<form[^>]*action="([^"]*)"/.exec(page.text)?.[1] ?? page.url, page.url).href

let page = await visit(start)
for (let step = 0; step < 8; step++) {
    if (!/<form/.test(page.text)) break
    const form = fields(page.text)
    if ('user_code' in form) form.user_code = code
    if ('login' in form) Object.assign(form, { login: name, password: 'any' })
    if (/confirm/.test(page.text) && 'user_code' in form) form.confirm = 'yes'
    page = await visit(action(page), form)
}
if (page.status !== 200 || /error/i.test(page.text)) {
    console.error(`the provider answers ${page.status} at ${page.url}: ${page.text.replace(/<[^>]*>/g, ' ').replace(/\s+/g, ' ').slice(0, 300)}`)
    process.exit(1)
}
