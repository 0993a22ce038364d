// JSON to the classes that wsdl2h and soapcpp2 generated, and back: the parts that do not depend on the contract.
#pragma once
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <iomanip>
#include <ostream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>
#include "soapH.h"

struct Json {
    enum Kind { Null, Bool, Number, Text, List, Record } kind = Null;
    std::string text;
    std::vector<Json> rows;
    std::vector<std::pair<std::string, Json>> members;

    const Json &operator[](const std::string &name) const {
        static const Json nothing;
        for (const auto &member : members)
            if (member.first == name) return member.second;
        return nothing;
    }
};

class Parser {
    const std::string &text;
    size_t at = 0;

    char next() {
        while (std::isspace(static_cast<unsigned char>(text.at(at)))) at++;
        return text[at];
    }

    static void put(std::string &to, unsigned code) {
        if (code < 0x80) {
            to += static_cast<char>(code);
        } else if (code < 0x800) {
            to += static_cast<char>(0xC0 | code >> 6);
            to += static_cast<char>(0x80 | (code & 0x3F));
        } else {
            to += static_cast<char>(0xE0 | code >> 12);
            to += static_cast<char>(0x80 | (code >> 6 & 0x3F));
            to += static_cast<char>(0x80 | (code & 0x3F));
        }
    }

    std::string string() {
        std::string made;
        for (at++; text.at(at) != '"'; at++) {
            if (text[at] != '\\') {
                made += text[at];
            } else if (text[++at] == 'u') {
                put(made, static_cast<unsigned>(std::strtoul(text.substr(at + 1, 4).c_str(), nullptr, 16)));
                at += 4;
            } else {
                made += text[at] == 'n' ? '\n' : text[at];
            }
        }
        at++;
        return made;
    }

public:
    explicit Parser(const std::string &given) : text(given) {}

    Json value() {
        Json made;
        char first = next();
        if (first == '{') {
            made.kind = Json::Record;
            for (at++; next() != '}';) {
                if (text[at] == ',') at++;
                next();
                std::string name = string();
                next();
                at++;
                made.members.emplace_back(name, value());
            }
            at++;
        } else if (first == '[') {
            made.kind = Json::List;
            for (at++; next() != ']';) {
                if (text[at] == ',') at++;
                made.rows.push_back(value());
            }
            at++;
        } else if (first == '"') {
            made.kind = Json::Text;
            made.text = string();
        } else {
            while (at < text.size() && std::string(",]} \n").find(text[at]) == std::string::npos) made.text += text[at++];
            made.kind = made.text == "null" ? Json::Null : made.text == "true" || made.text == "false" ? Json::Bool : Json::Number;
        }
        return made;
    }
};

inline Json load(const char *path) {
    std::ifstream file(path);
    std::stringstream content;
    content << file.rdbuf();
    std::string text = content.str();
    return Parser(text).value();
}

// What a value becomes. Dates are the number type time_t, and have functions of their own.
inline void fill(struct soap *, std::string &to, const Json &from) { to = from.text; }
inline void fill(struct soap *, bool &to, const Json &from) { to = from.text == "true"; }
inline void fill(struct soap *, int &to, const Json &from) { to = std::atoi(from.text.c_str()); }
inline void fill(struct soap *, LONG64 &to, const Json &from) { to = std::atoll(from.text.c_str()); }
inline void fill(struct soap *, float &to, const Json &from) { to = std::strtof(from.text.c_str(), nullptr); }

template <class T> void fill(struct soap *soap, T *&to, const Json &from) {
    if (from.kind == Json::Null) return;
    to = new T();
    fill(soap, *to, from);
}

template <class T> void fill(struct soap *soap, std::vector<T> &to, const Json &from) {
    for (const Json &row : from.rows) {
        T made{};
        fill(soap, made, row);
        to.push_back(made);
    }
}

inline void fill_date(struct soap *soap, time_t *&to, const Json &from) {
    if (from.kind == Json::Null) return;
    to = new time_t();
    if (soap_s2dateTime(soap, from.text.c_str(), to) != SOAP_OK) throw std::runtime_error("no date: " + from.text);
}

inline void write(std::ostream &out, const std::string &value) {
    out << '"';
    for (char c : value) {
        if (c == '"' || c == '\\') out << '\\';
        out << c;
    }
    out << '"';
}
inline void write(std::ostream &out, bool value) { out << (value ? "true" : "false"); }
inline void write(std::ostream &out, int value) { out << value; }
inline void write(std::ostream &out, LONG64 value) { out << value; }
inline void write(std::ostream &out, float value) { out << std::setprecision(9) << value; }

template <class T> void write(std::ostream &out, T *const &value) {
    if (value) write(out, *value);
    else out << "null";
}

template <class T> void write(std::ostream &out, const std::vector<T> &rows) {
    const char *between = "[";
    for (const T &row : rows) {
        out << between;
        write(out, row);
        between = ",";
    }
    out << (rows.empty() ? "[]" : "]");
}

inline void write_date(std::ostream &out, const time_t *value) {
    if (!value) {
        out << "null";
        return;
    }
    char text[32];
    std::strftime(text, sizeof text, "\"%Y-%m-%dT%H:%M:%SZ\"", std::gmtime(value));
    out << text;
}
