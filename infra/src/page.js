// Answers for the page where no file does, and says which file of the bucket does: as the local server decides it.
// It runs at every edge, in cloudfront-js-2.0: ECMAScript 5.1 and little more.

var PREFERRED = '${DefaultUi}';

// What lies beside the folders of files. All other paths are pages of an interface, which its index.html shows.
var FILES = {files};
var FOLDERS = /^\/(v2\/)?(assets|ico|fonts)\/./;
var DOCUMENTS = ['/docs', '/openapi.json', '/redoc', '/ui-settings'];

function handler(event) {
  var request = event.request;
  var headers = request.headers;
  var path = decoded(request.uri);
  var reads = request.method === 'GET' || request.method === 'HEAD';

  if (DOCUMENTS.indexOf(path.slice(0, -1)) >= 0 && path.slice(-1) === '/') {
    return redirect(request, path.slice(0, -1));
  }
  if (path === '/docs') {
    return reads ? file(request, '/docs/index.html') : refusal(request, 405);
  }
  if (path === '/proctor' || path.indexOf('/proctor/') === 0) {
    if (!reads) {
      return refusal(request, 405);
    }
    return path === '/proctor' ? redirect(request, '/proctor/') : file(request, path.replace(/\/$/, '/index.html'));
  }
  if (path === '/' && reads && isNavigation(headers) && preferred(request.cookies) === 'v2') {
    return redirect(request, '/v2/');
  }
  if (path === '/v2' && reads) {
    return redirect(request, '/v2/');
  }
  if (path === '/favicon.ico' || path === '/favicon-dark.ico') {
    path = '/ico' + path;
  }
  var base = path === '/v2' || path.indexOf('/v2/') === 0 ? '/v2' : '';
  var rest = resolved(path.slice(base.length));
  var found = rest === '' ? base + '/index.html' : base + '/' + rest;
  if (rest !== null && (FILES.indexOf(found) >= 0 || FOLDERS.test(found))) {
    return reads ? file(request, found) : refusal(request, 405);
  }
  return reads && acceptsHtml(headers) ? file(request, base + '/index.html') : refusal(request, 404);
}

function file(request, path) {
  request.uri = encodeURI(path);
  return request;
}

function redirect(request, path) {
  var query = request.rawQueryString();
  return {
    statusCode: 307,
    statusDescription: 'Temporary Redirect',
    headers: { location: { value: path + (query ? '?' + query : '') } }
  };
}

function refusal(request, status) {
  var words = status === 404 ? 'Not Found' : 'Method Not Allowed';
  var answer = {
    statusCode: status,
    statusDescription: words,
    headers: { 'content-type': { value: 'application/json' } }
  };
  if (request.method !== 'HEAD') {
    answer.body = { encoding: 'text', data: JSON.stringify({ detail: words }) };
  }
  return answer;
}

function decoded(path) {
  try {
    return decodeURIComponent(path);
  } catch (error) {
    return path;
  }
}

// The path without empty parts and with its dots resolved; null if it leads out of the folder.
function resolved(path) {
  var parts = [];
  var all = path.split('/');
  for (var index = 0; index < all.length; index += 1) {
    if (all[index] === '..') {
      if (parts.length === 0) {
        return null;
      }
      parts.pop();
    } else if (all[index] !== '' && all[index] !== '.') {
      parts.push(all[index]);
    }
  }
  return parts.join('/');
}

function value(headers, name) {
  return headers[name] ? headers[name].value : '';
}

function isNavigation(headers) {
  return value(headers, 'sec-fetch-mode') === 'navigate'
    || ['document', 'iframe'].indexOf(value(headers, 'sec-fetch-dest')) >= 0
    || value(headers, 'accept').toLowerCase().indexOf('text/html') >= 0;
}

function preferred(cookies) {
  var cookie = cookies.prefect_ui_version;
  var name = cookie ? cookie.value.trim().replace(/^"+|"+$/g, '') : '';
  return name === 'v1' || name === 'v2' ? name : PREFERRED;
}

function acceptsHtml(headers) {
  return value(headers, 'accept').split(',').some(function (range) {
    var parts = range.split(';');
    var type = parts[0].trim().toLowerCase();
    var quality = '';
    for (var index = parts.length - 1; index > 0; index -= 1) {
      var part = parts[index].trim();
      quality = /^q=/i.test(part) ? part.slice(2) : quality;
    }
    return (type === 'text/html' || type === 'application/xhtml+xml') && !(quality !== '' && Number(quality) === 0);
  });
}
